/* SPDX-License-Identifier: MIT */
/* doctor: what boxes will say of the gateway's certificate. As the user that serves: who may read a file is part of it. */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/doctor.h"
#include "lib/base/strv.h"
#include "lib/base/text.h"
#include "lib/data/x509-chain.h"

#define RELOAD "systemctl reload secbox-gateway"
#define SOON (14 * 86400ULL)

/* The first folder on the way that we may not enter, or the file: a new string, NULL when it is something else. */
static char *barred_at(const char *path)
{
    for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        _cleanup_(freep) char *folder = str_format("%.*s", (int) (slash - path), path);

        if (folder && access(folder, X_OK) < 0)
            return errno == EACCES ? TAKE_PTR(folder) : NULL;
    }
    return access(path, R_OK) < 0 && errno == EACCES ? strdup(path) : NULL;
}

/* Whether it is a file of nobody but the gateway, as the README puts it: in the folder that is named as the env file is. */
static bool is_in_own_folder(const Doctor *d, const char *path)
{
    _cleanup_(freep) char *real = realpath(path, NULL);

    if (!str_equal(real, path) || !str_ends(d->env_file, ".env"))
        return false;
    size_t len = strlen(d->env_file) - strlen(".env");
    return strncmp(path, d->env_file, len) == 0 && path[len] == '/';
}

/* Rights to a file or a folder that others use, too, are theirs to give. */
static void of_barred(const Doctor *d, const char *path, const char *barred, Finding *f)
{
    const struct passwd *user = getpwuid(geteuid());
    const struct group *group = getgrgid(getegid());
    bool is_folder = !str_equal(barred, path);
    bool mends = group && !is_folder && is_in_own_folder(d, path) && text_is_shell_word(path) &&
                 text_is_shell_word(group->gr_name);

    finding_set(
        f, VERDICT_FAIL,
        mends ? NULL
              : "Copy certificate and key to /etc/secbox-gateway as the README does, and name those in the options.",
        "user %s may not %s %s", user ? user->pw_name : "secbox-gateway", is_folder ? "enter" : "read", barred);
    finding_since_file(f, barred);
    if (mends)
        finding_remedy(f, "chgrp %s %s && chmod g+r %s && " RELOAD, group->gr_name, path, path);
}

/* Whether the file can be read; otherwise the finding says why not, for whom, and what changes that. */
static bool is_readable(const Doctor *d, const char *path, Finding *f)
{
    if (access(path, R_OK) == 0)
        return true;
    int why = errno;
    _cleanup_(freep) char *barred = barred_at(path);
    if (barred)
        of_barred(d, path, barred, f);
    else
        finding_set(f, VERDICT_FAIL, "Put it there, or correct the option that names it.", "%s cannot be read: %s",
                    path, strerror(why));
    return false;
}

/* Absent TLS is a proxy's business. */
static bool has_tls(const Doctor *d, Finding *f)
{
    if (d->settings.cert && d->settings.key)
        return true;
    finding_pass(f, "the gateway does no TLS itself");
    return false;
}

static void of_validity(const Doctor *d, const ChainFacts *c, Finding *f)
{
    uint64_t now = realtime_usec() / USEC_PER_SEC;
    char until[TIMESTAMP_SIZE], from[TIMESTAMP_SIZE];

    timestamp_format(c->validity.from * USEC_PER_SEC, from);
    timestamp_format(c->validity.until * USEC_PER_SEC, until);
    if (now > c->validity.until) {
        finding_set(f, VERDICT_FAIL, "Put a renewed certificate there; it is noticed within a minute.",
                    "%s has expired", d->settings.cert);
        f->since = c->validity.until * USEC_PER_SEC;
    } else if (now < c->validity.from) {
        finding_set(f, VERDICT_FAIL, "See the check `clock`; otherwise put the one before back until then.",
                    "%s is not valid before %s", d->settings.cert, from);
    } else if (d->host[0] && !c->fits) {
        finding_set(f, VERDICT_FAIL, "Get one for that name, or correct --issuer.", "%s is for %s, not for %s",
                    d->settings.cert, c->names ? c->names : "nobody", d->host);
        finding_since_file(f, d->settings.cert);
    } else {
        finding_pass(f, "good until %s%s", until, c->validity.until - now < SOON ? ": renew it soon" : "");
    }
}

void check_certificate(Doctor *d, Finding *f)
{
    _cleanup_(chain_facts_done) ChainFacts c = {};
    _cleanup_(error_done) Error err = {};

    if (!has_tls(d, f) || !is_readable(d, d->settings.cert, f))
        return;
    int r = x509_chain_read(d->settings.cert, d->host, &c, &err);
    if (r == 0) {
        of_validity(d, &c, f);
        return;
    }
    finding_set(f, VERDICT_FAIL, "Put the certificate there, with those of its authorities behind it.", "%s",
                error_message(&err, r));
    finding_since_file(f, d->settings.cert);
}

void check_chain(Doctor *d, Finding *f)
{
    _cleanup_(chain_facts_done) ChainFacts c = {};

    if (!has_tls(d, f))
        return;
    if (x509_chain_read(d->settings.cert, d->host, &c, NULL) < 0) {
        finding_set(f, VERDICT_UNKNOWN, NULL, "see the check `certificate`");
    } else if (c.known) {
        finding_pass(f, "complete");
    } else if (c.found) {
        /* whoever may write into the folder chooses the name of what is found */
        bool mends = text_is_shell_word(c.found) && text_is_shell_word(d->settings.cert);
        finding_set(f, VERDICT_FAIL,
                    mends ? NULL : "Put that one, which is in another file beside it, behind its own certificate.",
                    "%s lacks the certificate of %s, without which no box can check it", d->settings.cert,
                    c.missing ? c.missing : "its authority");
        finding_since_file(f, d->settings.cert);
        if (mends)
            finding_remedy(f, "cat %s >>%s && " RELOAD, c.found, d->settings.cert);
    } else {
        finding_pass(f, "of an authority that this machine does not know: boxes need %s in CLOUD_CA_FILE",
                     c.missing ? c.missing : "it");
    }
}

void check_key(Doctor *d, Finding *f)
{
    _cleanup_(error_done) Error err = {};
    struct stat st;

    if (!has_tls(d, f) || !is_readable(d, d->settings.key, f))
        return;
    if (stat(d->settings.key, &st) == 0 && (st.st_mode & 0007)) {
        finding_set(f, VERDICT_FAIL, "Whoever had an account here may have it: consider a new key.",
                    "others may read the private key %s: its mode is %04o", d->settings.key, st.st_mode & 07777);
        finding_since_file(f, d->settings.key);
        if (text_is_shell_word(d->settings.key))
            finding_remedy(f, "chmod o= %s", d->settings.key);
        return;
    }
    int r = x509_key_check(d->settings.cert, d->settings.key, &err);
    if (r == 0) {
        finding_pass(f, "belongs to the certificate");
        return;
    }
    finding_set(f, VERDICT_FAIL, "Put both there together, as they were issued.", "%s", error_message(&err, r));
    finding_since_file(f, d->settings.key);
}

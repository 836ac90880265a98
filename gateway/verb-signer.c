/* SPDX-License-Identifier: MIT */
/* See verb-signer.h. */
#include "gateway/verb-signer.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "gateway/settings.h"
#include "gateway/sessions/recording-policy.h"
#include "gateway/sessions/signer-packet.h"
#include "gateway/sessions/signer.h"
#include "lib/base/fileio.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/cli/cli.h"
#include "lib/cli/report.h"
#include "lib/event/daemon.h"

#define PROGRAM "secbox-gateway"

static int run(const SignerOptions *o, Error *err)
{
    _cleanup_(sd_event_unrefp) sd_event *event = NULL;
    _cleanup_(signer_freep) Signer *s = NULL;
    int r = service_loop_new(&event, err);

    if (r >= 0)
        r = signer_new(event, o, &s, err);
    if (r >= 0)
        r = service_watchdog_start(event, NULL, NULL, err);
    if (r >= 0) {
        service_ready("signs certificates for support staff");
        r = sd_event_loop(event);
    }
    return r < 0 ? error_from_errno(err, r, "signing certificates") : 0;
}

int signer_run_child(const char *key)
{
    _cleanup_(error_done) Error err = {};
    SignerOptions o = { .database = getenv(DATABASE_VARIABLE),
                        .record_sessions = getenv(RECORD_SESSIONS_VARIABLE),
                        .auditor_key = getenv(AUDITOR_KEY_VARIABLE),
                        .listen_fd = -1,
                        .parent_fd = SIGNER_CHILD_FD };

    log_open("secbox-gateway-signer");
    int r = signer_confine(&err);
    if (r >= 0)
        r = ssh_ca_load_or_make(key, &o.ca, &err);
    if (r >= 0)
        r = run(&o, &err);
    if (r < 0)
        log_failure(LOG_LEVEL_ERROR, NULL, &err, r, "no certificates can be signed");
    return r < 0 ? EXIT_FAILED : EXIT_OK;
}

/* The service manager has opened both as root: this process could not. */
static int take_descriptors(SignerOptions *o, Error *err)
{
    int n = sd_listen_fds(1);

    if (n != 1)
        return error_set(err, EINVAL, "config.signer",
                         "this is for secbox-gateway-signer.service, whose socket is to be descriptor 3");
    o->listen_fd = SD_LISTEN_FDS_START;
    int r = ssh_ca_read(STDIN_FILENO, "the key on standard input", &o->ca, err);
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null < 0 || dup2(null, STDIN_FILENO) < 0)
        r = r < 0 ? r : error_from_errno(err, -errno, "closing the key's file");
    if (null >= 0)
        close(null);
    return r;
}

int verb_signer(int argc _unused_, char **argv _unused_, void *userdata)
{
    const Settings *settings = userdata;
    _cleanup_(error_done) Error err = {};
    SignerOptions o = { .database = settings->database,
                        .record_sessions = getenv(RECORD_SESSIONS_VARIABLE),
                        .auditor_key = getenv(AUDITOR_KEY_VARIABLE),
                        .listen_fd = -1,
                        .parent_fd = -1 };

    log_open("secbox-gateway-signer");
    int r = signer_confine(&err);
    if (r >= 0)
        r = take_descriptors(&o, &err);
    if (r >= 0)
        r = run(&o, &err);
    if (r < 0)
        log_failure(LOG_LEVEL_ERROR, NULL, &err, r, "no certificates can be signed");
    return r < 0 ? EXIT_FAILED : EXIT_OK;
}

/* The folder is the gateway's, who may put anything there: only a file that is nobody else's is made root's. */
static int keep_for_root(const char *path, Error *err)
{
    const struct passwd *user = getpwnam(PROGRAM);
    _cleanup_(closep) int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return error_from_errno(err, -errno, "open %s", path);
    bool is_known = st.st_uid == 0 || (user && st.st_uid == user->pw_uid);
    if (!S_ISREG(st.st_mode) || st.st_nlink != 1 || !is_known)
        return error_set(err, EPERM, "key.bad", "%s is no file of the gateway's alone: restore it from a backup", path);
    if (geteuid() == 0 && (fchown(fd, 0, 0) < 0 || fchmod(fd, 0600) < 0))
        return error_from_errno(err, -errno, "give %s to root", path);
    return 0;
}

static int prepare(const char *state_dir, Error *err)
{
    _cleanup_(freep) char *path = path_join(state_dir, SUPPORT_CA_NAME);
    _cleanup_(ssh_ca_freep) SshCa *ca = NULL;
    const struct passwd *user = geteuid() == 0 ? getpwnam(PROGRAM) : NULL;
    struct stat st;

    if (!path)
        return error_from_errno(err, -ENOMEM, "prepare the key");
    /* the socket is there before the gateway, whose folder it is */
    int r = dir_make(state_dir, 0700, user ? user->pw_uid : (uid_t) -1, user ? user->pw_gid : (gid_t) -1, err);
    if (r >= 0 && lstat(path, &st) < 0)
        r = -errno;
    if (r == -ENOENT)
        r = ssh_ca_load_or_make(path, &ca, err);
    return r < 0 ? error_from_errno(err, r, "prepare the key") : keep_for_root(path, err);
}

int verb_signer_prepare(int argc _unused_, char **argv _unused_, void *userdata)
{
    const Settings *s = userdata;
    _cleanup_(error_done) Error err = {};
    int r = s->state ? prepare(s->state, &err)
                     : error_set(&err, EINVAL, "config.state", "--state DIR is needed: the signing key is kept there");

    return r < 0 ? report_failure(PROGRAM, false, &err, r, s->state ? EXIT_FAILED : EXIT_USAGE) : EXIT_OK;
}

/* SPDX-License-Identifier: MIT */
#include "secbox/lan/cloud-cert.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fileio.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/data/x509-authority.h"
#include "lib/data/x509-chain.h"
#include "secbox/lan/authority.h"

#define DNS_PREFIX "DNS:"

static void forget(CloudCert *c)
{
    free(c->names);
    free(c->from);
    free(c->untrusted);
    *c = (CloudCert) { .key = c->key, .cert = c->cert, .fresh = c->fresh };
}

void cloud_cert_done(CloudCert *c)
{
    forget(c);
    free(c->key);
    free(c->cert);
    free(c->fresh);
    *c = (CloudCert) {};
}

static int bad(Error *err, const char *why)
{
    return error_set(err, EBADMSG, "lan.certificate", "the certificate is not taken: %s", why);
}

static char *date_of(uint64_t seconds)
{
    char text[TIMESTAMP_SIZE];

    return strdup(timestamp_format(seconds * USEC_PER_SEC, text));
}

/* Keeps what status shows of the chain in that file. */
static int take_facts(CloudCert *c, const char *path, Error *err)
{
    ChainFacts facts = {};
    int r = x509_key_check(path, c->key, err);

    if (r >= 0)
        r = x509_chain_read(path, LAN_HOST, &facts, err);
    if (r >= 0 && !facts.serves)
        r = bad(err, "it is not for servers");
    else if (r >= 0 && facts.fits)
        r = bad(err, "it is for " LAN_HOST ", by which tablets get the box's own");
    else if (r >= 0 && !(facts.names && strstr(facts.names, DNS_PREFIX)))
        r = bad(err, "it holds no host name among its alternative names, and is shown only to those who ask for one");
    if (r >= 0) {
        forget(c);
        c->until = facts.validity.until;
        c->from = date_of(facts.validity.from);
        c->names = TAKE_PTR(facts.names);
        c->untrusted = TAKE_PTR(facts.missing);
        c->there = c->from != NULL;
        r = c->there ? 0 : error_from_errno(err, -ENOMEM, "cannot keep the certificate's dates");
    }
    chain_facts_done(&facts);
    return r;
}

int cloud_cert_init(CloudCert *c, const char *dir, Error *err)
{
    _cleanup_(error_done) Error why = {};
    int r;

    *c = (CloudCert) {
        .key = path_join(dir, "cloud.key"),
        .cert = path_join(dir, "cloud.pem"),
        .fresh = path_join(dir, "cloud-new.pem"),
    };
    if (!c->key || !c->cert || !c->fresh)
        return error_from_errno(err, -ENOMEM, "cannot keep the certificate's places");
    r = take_facts(c, c->cert, &why);
    if (r < 0 && r != -ENOENT)
        log_failure(LOG_LEVEL_WARNING, NULL, &why, r, "the cloud's certificate for the guards' pages is not used");
    return 0;
}

bool cloud_cert_is_good(const CloudCert *c, usec_t now)
{
    return c->there && now / USEC_PER_SEC < c->until;
}

int cloud_cert_request(const CloudCert *c, const cJSON *names, char **ret, Error *err)
{
    const char *list[LAN_CERTIFICATE_NAMES_MAX + 1] = {};
    const cJSON *name;
    size_t n = 0;

    cJSON_ArrayForEach(name, names) {
        if (!cJSON_IsString(name) || n == LAN_CERTIFICATE_NAMES_MAX)
            return error_set(err, EINVAL, "lan.certificate-names", "a certificate is asked for 1 to %d host names",
                             LAN_CERTIFICATE_NAMES_MAX);
        list[n++] = name->valuestring;
    }
    return n ? x509_request_make(c->key, list, ret, err)
             : error_set(err, EINVAL, "lan.certificate-names", "a certificate is asked for 1 to %d host names",
                         LAN_CERTIFICATE_NAMES_MAX);
}

static int check_time(const CloudCert *c, usec_t now, Error *err)
{
    char ours[TIMESTAMP_SIZE];
    _cleanup_(freep) char *until = date_of(c->until);

    if (cloud_cert_is_good(c, now))
        return 0;
    return error_set(err, EBADMSG, "lan.certificate",
                     "the certificate is not taken: it was good until %s, and the box's clock says %s",
                     until ? until : "some time ago", timestamp_format(now, ours));
}

static int try_fresh(CloudCert *c, const char *pem, usec_t now,
                     int (*use)(const char *cert, const char *key, void *userdata, Error *err), void *userdata,
                     Error *err)
{
    CloudCert next = { .key = c->key, .cert = c->cert, .fresh = c->fresh };
    int r = take_facts(&next, c->fresh, err);

    if (r >= 0)
        r = check_time(&next, now, err);
    if (r >= 0)
        r = use(c->fresh, c->key, userdata, err);
    if (r >= 0)
        r = file_write_atomic(c->cert, pem, strlen(pem), 0644, (uid_t) -1, (gid_t) -1, err);
    if (r < 0) {
        forget(&next);
        return r;
    }
    forget(c);
    *c = next;
    return 0;
}

int cloud_cert_set(CloudCert *c, const char *pem, usec_t now,
                   int (*use)(const char *cert, const char *key, void *userdata, Error *err), void *userdata,
                   Error *err)
{
    int r;

    if (access(c->key, F_OK) < 0)
        return bad(err, "this box has not asked for one, or its key was removed: make a request first");
    r = file_write_atomic(c->fresh, pem, strlen(pem), 0644, (uid_t) -1, (gid_t) -1, err);
    if (r >= 0)
        r = try_fresh(c, pem, now, use, userdata, err);
    if (file_remove(c->fresh, NULL) < 0)
        log_debug("%s stays until the next certificate", c->fresh);
    return r;
}

int cloud_cert_remove(CloudCert *c, Error *err)
{
    int r = file_remove(c->cert, err);

    forget(c);
    return r < 0 ? r : file_remove(c->key, err);
}

/* "DNS:a, IP Address:192.0.2.1, DNS:b" → the host names. */
static int add_names(cJSON *to, const char *text)
{
    _cleanup_(freep) char *copy = strdup(text);
    cJSON *list = cJSON_AddArrayToObject(to, "names");
    char *rest = NULL;
    int r = copy && list ? 0 : -ENOMEM;

    for (char *word = r < 0 ? NULL : strtok_r(copy, ", ", &rest); word && r >= 0; word = strtok_r(NULL, ", ", &rest))
        if (str_starts(word, DNS_PREFIX))
            r = json_append(list, cJSON_CreateString(word + strlen(DNS_PREFIX)));
    return r;
}

cJSON *cloud_cert_describe(const CloudCert *c, bool shown)
{
    _cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
    _cleanup_(freep) char *until = c->there ? date_of(c->until) : NULL;

    if (!o || json_add_string(o, "state", !c->there ? "none" : shown ? "shown" : "expired") < 0)
        return NULL;
    if (!c->there)
        return TAKE_PTR(o);
    if (add_names(o, c->names) < 0 || json_add_string(o, "from", c->from) < 0 ||
        json_add_string(o, "until", until) < 0 || json_add_string(o, "untrusted", c->untrusted) < 0)
        return NULL;
    return TAKE_PTR(o);
}

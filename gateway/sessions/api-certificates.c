/* SPDX-License-Identifier: MIT */
/* See api-certificates.h. */
#include "gateway/sessions/api-certificates.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "gateway/sessions/grants.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/data/ssh-cert.h"

#define CA_COMMENT "secbox-support-ca"
/* Nobody knows how a clock goes of which nothing was heard for longer. */
#define CLOCK_TOLD_LATELY (15 * USEC_PER_MINUTE)
/* A connection fetches its certificate as it begins, and may use one for the next that begins soon. */
#define MOMENT_SECONDS 300
#define KEEP_SECONDS 120
/* A clock that is ahead by more is no clock. */
#define AHEAD_MAX (10.0 * 365 * 86400)
/* One that is not further off is nearly right; a box tells it each minute, and may be set to another while it cannot. */
#define NEAR_SECONDS 3600.0
#define NEAR_TOLD_LATELY (2 * USEC_PER_MINUTE)

static void scratch_free(void *scratch)
{
    ssh_public_key_done(scratch);
    free(scratch);
}

/* Whether it is for logins that begin now, by the box's clock as it has told it, and by ours, since what was told may have been
 * on its way for long: whoever has got hold of a certificate comes too late with it soon. It begins in 1970 all the same, since
 * that is where a box stands whose battery is empty, and nobody may be locked out by that. Of a box whose clock nobody knows, or
 * that is behind and may be set at any time, the grant bounds it, which the gateway watches over. A box that is ahead of the
 * grant's end would take that for expired: what it gets is good there again when the right time gets that far, and nowhere
 * else. */
static bool set_validity(const CertificatesApi *api, const Grant *g, SshCertSpec *spec)
{
    const HealthPart *box = device_health_find(api->health, g->device, "box");
    usec_t now = realtime_usec(), told = box && box->at ? now - box->received_at : USEC_INFINITY;

    spec->valid_before = g->expires_at;
    if (told > CLOCK_TOLD_LATELY || !(box->clock_offset >= -NEAR_SECONDS && box->clock_offset <= AHEAD_MAX))
        return false;
    double here = (double) now / (double) USEC_PER_SEC, there = here + box->clock_offset;
    bool is_near = box->clock_offset <= NEAR_SECONDS;
    if (is_near ? told > NEAR_TOLD_LATELY : there + MOMENT_SECONDS < (double) g->expires_at)
        return false;
    if (!is_near)
        spec->valid_after = (uint64_t) there - MOMENT_SECONDS;
    spec->valid_before = (uint64_t) (here > there ? here : there) + MOMENT_SECONDS;
    return true;
}

static int sign(const Request *c, const Grant *g, uint64_t serial, char **ret, bool *ret_once, Error *err)
{
    static const char *const plain[] = { "permit-pty", NULL };
    static const char *const forwarding[] = { "permit-agent-forwarding", "permit-port-forwarding", "permit-pty", NULL };
    _cleanup_(freep) char *key_id = str_format("%s/%s/%" PRIu64, g->person, g->id, serial);
    if (!key_id)
        return error_from_errno(err, -ENOMEM, "signing a certificate");
    const CertificatesApi *api = c->module;
    SshCertSpec spec = {
        .key = c->scratch,
        .serial = serial,
        .key_id = key_id,
        .principal = g->device,
        .extensions = g->forwarding ? forwarding : plain,
    };
    *ret_once = set_validity(api, g, &spec);
    return ssh_cert_sign(api->ca, &spec, ret, err);
}

static int answer_certificate(Request *c, const Grant *g, const GrantExtra *extra, cJSON **ret, Error *err)
{
    char until[TIMESTAMP_SIZE];
    _cleanup_(freep) char *text = NULL;
    _cleanup_(cJSON_Deletep) cJSON *body = cJSON_CreateObject();
    bool once = false;
    int r = sign(c, g, extra->serial, &text, &once, err);
    if (r < 0)
        return r;
    if (!body || json_add_string(body, "certificate", text) < 0 || json_add_u64(body, "serial", extra->serial) < 0 ||
        json_add_bool(body, "hostKeysKnown", extra->host_keys_known) < 0 ||
        (once && (json_add_bool(body, "once", true) < 0 || json_add_int(body, "keepSeconds", KEEP_SECONDS) < 0)) ||
        json_add_string(body, "expiresAt", timestamp_format(g->expires_at * USEC_PER_SEC, until)) < 0)
        return error_from_errno(err, -ENOMEM, "signing a certificate");
    *ret = TAKE_PTR(body);
    return 0;
}

/* The statement counted the serial and wrote the audit entry only if the grant holds; here it is only said why not. */
static void on_grant(Request *c, const StoreRows *rows)
{
    Error err = {};
    _cleanup_(grant_done) Grant g = {};
    cJSON *body = NULL;
    GrantExtra extra = {};
    int r = store_rows_count(rows) > 0 ? grant_row(rows, &g, &extra) : grant_not_found(c->args[0], &err);
    if (r >= 0)
        r = grant_check(&g, request_person(c), NULL, &err);
    if (r >= 0 && extra.serial == 0)
        r = error_set(&err, EACCES, "grant.expired", "grant %s has expired: ask for a new one", g.id);
    if (r >= 0)
        r = answer_certificate(c, &g, &extra, &body, &err);
    if (r < 0)
        request_fail(c, r, &err);
    else
        request_answer(c, 200, body);
    error_done(&err);
}

static void issue(Request *c)
{
    Error err = {};
    const cJSON *body = request_parse_body(c);
    if (!body)
        return;
    SshPublicKey *key = calloc(1, sizeof(*key));
    c->scratch = key;
    c->scratch_free = key ? scratch_free : NULL;
    const char *text = json_string(body, "publicKey");
    int r = key ? ssh_public_key_parse(text ? text : "", key, &err) : -ENOMEM;
    if (r < 0) {
        request_fail(c, r == -EBADMSG ? -EINVAL : r, &err);
        error_done(&err);
        return;
    }
    request_query(c, sql_grant_for_certificate(c->args[0], request_person(c), c->actor, key->fingerprint), on_grant);
}

static void show_authority(Request *c)
{
    const CertificatesApi *api = c->module;
    _cleanup_(freep) char *line = ssh_ca_public(api->ca, CA_COMMENT);
    _cleanup_(cJSON_Deletep) cJSON *body = cJSON_CreateObject();
    if (!line || !body || json_add_string(body, "publicKey", line) < 0)
        request_fail(c, -ENOMEM, NULL);
    else
        request_answer(c, 200, TAKE_PTR(body));
}

const Route certificate_routes[] = {
    { "POST", "/v1/grants/*/certificate", ACCESS_OPERATOR, issue, "an SSH user certificate" },
    { "GET", "/v1/support-ca", ACCESS_VIEWER, show_authority, "the key that boxes trust for support staff" },
    {},
};

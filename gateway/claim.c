/* SPDX-License-Identifier: MIT */
/* A bootstrap token is good once for each role: the first key that comes with it is the key, and the same key
 * may come again. Another key is refused and raised as an alarm. */
#include "gateway/claim.h"

#include <errno.h>
#include <string.h>

#include "gateway/audit.h"
#include "gateway/auth.h"
#include "gateway/session.h"
#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "lib/data/digest.h"
#include "lib/data/json.h"

#define CLAIM_TRIES 3
#define BOOTSTRAP_SIZE_MAX 256

typedef struct Claim {
    Role role;
    char hash[SHA256_HEX_SIZE]; /* of the bootstrap token */
    char *thumbprint, *jwk, *proof_id;
    unsigned tries;
} Claim;

static void claim_free(void *scratch)
{
    Claim *k = scratch;
    free(k->thumbprint);
    free(k->jwk);
    free(k->proof_id);
    free(k);
}

static void claim_look(Call *c);

/* The key is registered: remember it, use the proof up, hand out the token. */
static void claim_accept(Call *c, int status)
{
    Claim *k = c->scratch;
    Gateway *g = c->gateway;
    const char *device = c->args[0];
    _cleanup_(secret_freep) char *token = NULL;
    uint64_t expires = 0;
    Error err = {};
    /* what an operator has said of a device that is known here may be newer than our look at the database */
    int r = registry_has_device(g->registry, device) ? 0 : registry_put_device(g->registry, device, false);
    if (r >= 0)
        r = registry_put_key(g->registry, device, k->role, k->thumbprint);
    if (r >= 0)
        r = registry_check(g->registry, device, k->role, k->thumbprint, &err);
    if (r >= 0)
        r = registry_use_proof(g->registry, device, k->role, k->proof_id, realtime_usec() / USEC_PER_SEC,
                               &err);
    if (r >= 0)
        r = auth_issue(g, device, k->role, k->thumbprint, &token, &expires, &err);
    if (r < 0)
        call_fail(c, r, &err);
    else
        call_answer(c, status, auth_token_json(token, expires));
    error_done(&err);
}

static void on_registered(Call *c, const StoreRows *rows)
{
    Claim *k = c->scratch;
    if (store_rows_count(rows) == 0) { /* another claim came between: look again */
        claim_look(c);
        return;
    }
    const LogField fields[] = { { "DEVICE", c->args[0] }, {} };
    log_line(LOG_LEVEL_NOTICE, fields, "device %s claimed the role %s", c->args[0], role_name(k->role));
    /* a box that was set up anew: tunnels by its former key end */
    session_close_key(c->gateway, c->args[0], k->role);
    claim_accept(c, 201);
}

static void claim_register(Call *c, const char *bootstrap)
{
    Claim *k = c->scratch;
    const char *params[] = { c->args[0], role_name(k->role), k->thumbprint, k->jwk, bootstrap };
    call_query(
        c,
        "WITH k AS ("
        " INSERT INTO device_keys(device, role, thumbprint, jwk, bootstrap)"
        " VALUES ($1, $2, $3, $4::jsonb, $5::bigint)"
        " ON CONFLICT (device, role) DO UPDATE SET thumbprint = excluded.thumbprint, jwk = excluded.jwk,"
        " bootstrap = excluded.bootstrap, claimed_at = now()"
        " WHERE device_keys.bootstrap <> excluded.bootstrap RETURNING device, role, thumbprint),"
        " a AS (INSERT INTO audit(actor, action, device, detail)"
        " SELECT 'device:' || device, 'device.claimed', device,"
        " jsonb_build_object('role', role, 'thumbprint', thumbprint) FROM k)"
        " SELECT device FROM k",
        params, ELEMENTSOF(params), on_registered);
}

static void claim_refuse(Call *c, int code, const char *id, const char *sentence)
{
    Error err = {};
    error_set(&err, code, id, "%s", sentence);
    call_fail(c, -code, &err);
    error_done(&err);
}

static void claim_refuse_reused(Call *c, const char *known)
{
    Claim *k = c->scratch;
    cJSON *detail = cJSON_CreateObject();
    if (json_add_string(detail, "role", role_name(k->role)) < 0 ||
        json_add_string(detail, "known", known) < 0 ||
        json_add_string(detail, "refused", k->thumbprint) < 0 ||
        json_add_string(detail, "peer", http_peer(c->exchange)) < 0)
        detail = (cJSON_Delete(detail), NULL);
    _cleanup_(freep) char *actor = str_format("device:%s", c->args[0]);
    audit_write(c->gateway, &(AuditEntry) { .actor = actor ? actor : "device",
                                           .action = "device.bootstrap_reused",
                                           .device = c->args[0],
                                           .alarm = true,
                                           .detail = detail });
    claim_refuse(
        c, EEXIST, "device.bootstrap-reused",
        "this bootstrap token was used before by another key: if the box was set up anew, an operator has to"
        " give it a new bootstrap token");
}

static bool is_true(const char *sql_boolean)
{
    return str_equal(sql_boolean, "t");
}

static void on_looked(Call *c, const StoreRows *rows)
{
    Claim *k = c->scratch;
    if (store_rows_count(rows) == 0) {
        claim_refuse(c, EKEYREJECTED, "bootstrap.invalid",
                     "the bootstrap token does not belong to this device, or was replaced");
        return;
    }
    const char *bootstrap = store_rows_get(rows, 0, 0);
    bool expired = is_true(store_rows_get(rows, 0, 1));
    const char *known = store_rows_get(rows, 0, 3);
    bool used = is_true(store_rows_get(rows, 0, 4)); /* this bootstrap, for this role */
    if (is_true(store_rows_get(rows, 0, 2)))
        claim_refuse(c, EACCES, "device.blocked", "this device is blocked: an operator has to unblock it");
    else if (used && str_equal(known, k->thumbprint))
        claim_accept(c, 200); /* the answer was lost: also when the token has expired since */
    else if (used)
        claim_refuse_reused(c, known);
    else if (expired)
        claim_refuse(c, EKEYREJECTED, "bootstrap.expired",
                     "the bootstrap token has expired: an operator has to give the box a new one");
    else
        claim_register(c, bootstrap);
}

static void claim_look(Call *c)
{
    Claim *k = c->scratch;
    /* anyone may ask: strangers get no more than half of the queue */
    if (++k->tries > CLAIM_TRIES || store_is_busy(c->gateway->store)) {
        claim_refuse(c, ENOBUFS, "store.busy", "too many claims at once, or no database: try again");
        return;
    }
    const char *params[] = { c->args[0], k->hash, role_name(k->role) };
    call_query(c,
               "SELECT b.id, b.expires_at < now(), d.blocked, k.thumbprint, k.bootstrap = b.id"
               " FROM bootstraps b JOIN devices d ON d.id = b.device"
               " LEFT JOIN device_keys k ON k.device = b.device AND k.role = $3"
               " WHERE b.device = $1 AND b.hash = $2 AND b.replaced_at IS NULL",
               params, ELEMENTSOF(params), on_looked);
}

/* Reads the body into the scratch. */
static int claim_read(Call *c, const cJSON *body, Error *err)
{
    Claim *k = c->scratch;
    const char *device = json_string(body, "deviceId"), *bootstrap = json_string(body, "bootstrap");
    const char *proof = json_string(body, "proof");
    if (!device_id_is_valid(device) || role_parse(json_string(body, "role"), &k->role) < 0 ||
        str_empty(bootstrap) || strlen(bootstrap) > BOOTSTRAP_SIZE_MAX || !proof)
        return error_set(err, EINVAL, "claim.malformed",
                         "a claim needs deviceId, role (mgmt, device or recovery), bootstrap and proof");
    _cleanup_(key_freep) Key *key = NULL;
    int r = auth_check_proof(c->gateway, proof, CLAIM_PATH, NULL, &key, &k->proof_id, err);
    if (r < 0)
        return r;
    k->thumbprint = key_thumbprint(key);
    k->jwk = key_jwk(key);
    c->args[0] = strdup(device);
    if (!k->thumbprint || !k->jwk || !c->args[0] || sha256_hex(bootstrap, strlen(bootstrap), k->hash) < 0)
        return error_from_errno(err, -ENOMEM, "reading a claim");
    return 0;
}

void claim_handle(Call *c)
{
    Error err = {};
    const cJSON *body = call_parse_body(c);
    if (!body)
        return;
    c->scratch = calloc(1, sizeof(Claim));
    c->scratch_free = claim_free;
    int r = c->scratch ? claim_read(c, body, &err) : -ENOMEM;
    if (r < 0)
        call_fail(c, r, &err);
    else
        claim_look(c);
    error_done(&err);
}

void refresh_handle(Call *c)
{
    Error err = {};
    const char *token = auth_bearer(c->exchange), *proof = http_header(c->exchange, "DPoP");
    _cleanup_(secret_freep) char *fresh = NULL;
    uint64_t expires = 0;
    int r;
    if (!token || !proof)
        r = error_set(&err, EKEYREJECTED, "refresh.incomplete",
                      "a refresh needs \"Authorization: Bearer TOKEN\" and \"DPoP: PROOF\"");
    else
        r = auth_refresh(c->gateway, token, proof, &fresh, &expires, &err);
    if (r < 0)
        call_fail(c, r, &err);
    else
        call_answer(c, 200, auth_token_json(fresh, expires));
    error_done(&err);
}

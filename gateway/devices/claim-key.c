/* SPDX-License-Identifier: MIT */
/* A claim by bootstrap token takes two statements: one looks, the other registers the key, which only the first of several
 * claims can. Of a box whose agent vouches for keys, the other roles need no token: what its management key has named is
 * registered. */
#include "gateway/devices/claim-key.h"

#include <errno.h>
#include <string.h>

#include "gateway/auth/audit.h"
#include "gateway/devices/claim-enrolment.h"
#include "gateway/devices/claim-way.h"
#include "gateway/store/devices-table.h"
#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "lib/data/digest.h"
#include "lib/data/json.h"

#define CLAIM_TRIES 3

struct KeyClaim {
    const Claims *claims;
    Role role;
    ClaimWay way;
    char hash[SHA256_HEX_SIZE]; /* of the bootstrap token; "": there is none */
    char *device, *thumbprint, *jwk, *peer;
    char *enrolment; /* the token, until it was asked about */
    cJSON *machine;
    EnrolmentClaim *enrolment_claim;
    unsigned tries;
    StoreQuery *query;
    void (*on_rows)(KeyClaim *k, const StoreRows *rows);
    key_claim_done_t on_done;
    void *userdata;
};

KeyClaim *key_claim_free(KeyClaim *k)
{
    if (!k)
        return NULL;
    store_query_free(k->query);
    free(k->device);
    free(k->thumbprint);
    free(k->jwk);
    free(k->peer);
    secret_free(k->enrolment);
    cJSON_Delete(k->machine);
    enrolment_claim_free(k->enrolment_claim);
    free(k);
    return NULL;
}

static void claim_end(KeyClaim *k, int r, bool is_new, const Error *err)
{
    k->on_done(k, r, is_new, err, k->userdata);
    key_claim_free(k);
}

static void claim_refuse(KeyClaim *k, int code, const char *id, const char *sentence)
{
    Error err = {};
    int r = error_set(&err, code, id, "%s", sentence);
    claim_end(k, r, false, &err);
    error_done(&err);
}

static void on_query_done(StoreQuery *q _unused_, int r, const StoreRows *rows, const Error *err, void *userdata)
{
    KeyClaim *k = userdata;
    k->query = NULL;
    if (r < 0)
        claim_end(k, r, false, err);
    else
        k->on_rows(k, rows);
}

static int claim_query(KeyClaim *k, Statement st, void (*on_rows)(KeyClaim *k, const StoreRows *rows), Error *err)
{
    k->on_rows = on_rows;
    return store_query(k->claims->store, st, on_query_done, k, &k->query, err);
}

static int claim_find_device(KeyClaim *k, Error *err);

/* The key is registered: remember it. */
static void claim_accept(KeyClaim *k, bool is_new)
{
    DeviceRegistry *registry = k->claims->registry;
    Error err = {};
    /* of a device that is known here, an operator's word may be newer than what we read in the database */
    int r =
        device_registry_has_device(registry, k->device) ? 0 : device_registry_put_device(registry, k->device, false);
    if (r >= 0)
        r = device_registry_put_key(registry, k->device, k->role, k->thumbprint);
    if (r >= 0)
        r = device_registry_check(registry, k->device, k->role, k->thumbprint, &err);
    claim_end(k, r, is_new, &err);
    error_done(&err);
}

/* The box was set up anew: what its former management key stood for has ended, and tunnels opened by that end with it. Whether
 * its agent vouches is to be seen again. */
static void forget_vouched(const KeyClaim *k, const StoreRows *rows)
{
    const Claims *cl = k->claims;
    for (Role role = ROLE_DEVICE; role <= ROLE_RECOVERY; role++) {
        (void) !device_registry_put_vouched(cl->registry, k->device, role, NULL); /* that cannot fail */
        if (!store_rows_true(rows, 0, role == ROLE_DEVICE ? 1 : 2))
            continue;
        device_registry_remove_key(cl->registry, k->device, role);
        device_conns_replace_key(cl->conns, k->device, role);
    }
    device_registry_set_vouches(cl->registry, k->device, false);
}

static int not_vouched(Error *err)
{
    return error_set(
        err, EACCES, "claim.not-vouched",
        "this key waits until mgmt-agent of its box has vouched for it, which it does by itself: mgmt-agent"
        " has to be connected, secbox and recovery-agent have to be as new as it is, and secbox's service has to mount"
        " /run/tucomunidad/secbox as /run/secbox");
}

static void claim_refuse_unvouched(KeyClaim *k)
{
    Error err = {};
    claim_end(k, not_vouched(&err), false, &err);
    error_done(&err);
}

static void on_registered(KeyClaim *k, const StoreRows *rows)
{
    Error err = {};
    if (store_rows_count(rows) == 0 && k->way == CLAIM_BY_VOUCHER) {
        claim_refuse_unvouched(k);
        return;
    }
    if (store_rows_count(rows) == 0) { /* another claim came between: look again */
        int r = claim_find_device(k, &err);
        if (r < 0)
            claim_end(k, r, false, &err);
        error_done(&err);
        return;
    }
    const LogField fields[] = { { "DEVICE", k->device }, {} };
    log_line(LOG_LEVEL_NOTICE, fields, "device %s claimed the role %s", k->device, role_name(k->role));
    if (k->role == ROLE_MGMT)
        forget_vouched(k, rows);
    /* the box was set up anew: tunnels opened with its former key end */
    device_conns_replace_key(k->claims->conns, k->device, k->role);
    claim_accept(k, true);
}

/* bootstrap NULL: by a voucher */
static int claim_query_register(KeyClaim *k, const char *bootstrap, Error *err)
{
    const NewDeviceKey key = {
        .device = k->device,
        .role = role_name(k->role),
        .thumbprint = k->thumbprint,
        .jwk = k->jwk,
        .bootstrap = bootstrap,
    };
    return claim_query(k, bootstrap ? sql_device_key_register(&key) : sql_device_key_register_vouched(&key),
                       on_registered, err);
}

static void claim_register(KeyClaim *k, const char *bootstrap)
{
    Error err = {};
    int r = claim_query_register(k, bootstrap, &err);
    if (r < 0)
        claim_end(k, r, false, &err);
    error_done(&err);
}

/* Somebody has this box's bootstrap token, and it is not who uses the role now. */
static void tell_reused(const KeyClaim *k, const char *known)
{
    cJSON *detail = cJSON_CreateObject();
    if (json_add_string(detail, "role", role_name(k->role)) < 0 || json_add_string(detail, "known", known) < 0 ||
        json_add_string(detail, "refused", k->thumbprint) < 0 || json_add_string(detail, "peer", k->peer) < 0)
        detail = (cJSON_Delete(detail), NULL);
    _cleanup_(freep) char *actor = str_format("device:%s", k->device);
    audit_write(k->claims->store, &(AuditEntry) { .actor = actor ? actor : "device",
                                                  .action = "device.bootstrap_reused",
                                                  .device = k->device,
                                                  .alarm = true,
                                                  .detail = detail });
}

static void claim_refuse_reused(KeyClaim *k, const char *known)
{
    tell_reused(k, known);
    claim_refuse(k, EEXIST, "device.bootstrap-reused",
                 "this bootstrap token was used before by another key: if the box was set up anew, an operator has to"
                 " give it a new bootstrap token");
}

/* Its bootstrap token is one now. */
static void on_let_in(int r, const Error *refusal, void *userdata)
{
    KeyClaim *k = userdata;
    Error err = {};
    k->enrolment_claim = NULL;
    if (r < 0) {
        claim_end(k, r, false, refusal);
        return;
    }
    r = claim_find_device(k, &err);
    if (r < 0)
        claim_end(k, r, false, &err);
    error_done(&err);
}

static void claim_enrol(KeyClaim *k)
{
    Error err = {};
    _cleanup_(secret_freep) char *token = TAKE_PTR(k->enrolment);
    const EnrolmentRequest request = {
        .token = token,
        .device = k->device,
        .bootstrap_hash = k->hash,
        .thumbprint = k->thumbprint,
        .peer = k->peer,
        .machine = k->machine,
        .bootstrap_hours = k->claims->bootstrap_hours,
    };
    int r = enrolment_claim_start(k->claims->store, &request, on_let_in, k, &k->enrolment_claim, &err);
    if (r < 0)
        claim_end(k, r, false, &err);
    error_done(&err);
}

/* The token alone is not enough: whoever stands between the box and us may have read it. */
static void claim_refuse_other(KeyClaim *k)
{
    if (k->role == ROLE_MGMT)
        claim_refuse(k, EKEYREJECTED, "enrolment.other-key",
                     "an operator has let this box in with another key: whoever stands between may have read its token;"
                     " give it a new bootstrap token by another way");
    else
        claim_refuse(k, EACCES, "enrolment.pending",
                     "the management key with which an operator has let this box in has to come first");
}

static void on_device_found(KeyClaim *k, const StoreRows *rows)
{
    if (store_rows_count(rows) == 0 && k->enrolment) {
        claim_enrol(k);
        return;
    }
    if (store_rows_count(rows) == 0) {
        claim_refuse(k, EKEYREJECTED, "bootstrap.invalid",
                     "the bootstrap token does not belong to this device, or was replaced");
        return;
    }
    const BootstrapRow b = bootstrap_row(rows);
    if (b.blocked)
        claim_refuse(k, EACCES, "device.blocked", "this device is blocked: an operator has to unblock it");
    else if (b.used && str_equal(b.thumbprint, k->thumbprint))
        claim_accept(k, false); /* the answer was lost: also when the token has expired since */
    else if (b.used)
        claim_refuse_reused(k, b.thumbprint);
    else if (b.of_another)
        claim_refuse_other(k);
    else if (b.expired)
        claim_refuse(k, EKEYREJECTED, "bootstrap.expired",
                     "the bootstrap token has expired: an operator has to give the box a new one");
    else
        claim_register(k, b.id);
}

/* It is good for nothing in this role. But that somebody has it is worth an alarm, unless the role's own program is the only one
 * that has come. */
static void on_stolen_looked_at(KeyClaim *k, const StoreRows *rows)
{
    if (store_rows_count(rows) > 0) {
        const BootstrapRow b = bootstrap_row(rows);
        if (b.thumbprint && !str_equal(b.thumbprint, k->thumbprint))
            tell_reused(k, b.thumbprint);
    }
    claim_refuse_unvouched(k);
}

/* An operator may have revoked it since. */
static void on_again_looked_at(KeyClaim *k, const StoreRows *rows _unused_)
{
    Error err = {};
    int r = device_registry_check(k->claims->registry, k->device, k->role, k->thumbprint, &err);
    claim_end(k, r, false, &err);
    error_done(&err);
}

static ClaimWay way_of(const KeyClaim *k)
{
    const DeviceRegistry *registry = k->claims->registry;
    const ClaimView view = {
        .role = k->role,
        .agent_vouches = device_registry_vouches(registry, k->device),
        .is_vouched = device_registry_is_vouched(registry, k->device, k->role, k->thumbprint),
        .is_present = device_registry_check(registry, k->device, k->role, k->thumbprint, NULL) >= 0,
    };
    return claim_way(&view);
}

static int claim_find_device(KeyClaim *k, Error *err)
{
    const Statement look = sql_bootstrap(k->device, k->hash, role_name(k->role), k->thumbprint);
    /* anyone may ask: strangers get no more than half of the queue */
    if (++k->tries > CLAIM_TRIES || store_is_busy(k->claims->store))
        return error_set(err, ENOBUFS, "store.busy", "too many claims at once, or no database: try again");
    k->way = way_of(k); /* at each try: the box's agent may have spoken */
    switch (k->way) {
    case CLAIM_BY_VOUCHER:
        return claim_query_register(k, NULL, err);
    case CLAIM_AGAIN:
        return claim_query(k, look, on_again_looked_at, err);
    case CLAIM_WAITS:
        return *k->hash ? claim_query(k, look, on_stolen_looked_at, err) : not_vouched(err);
    default:
        return *k->hash ? claim_query(k, look, on_device_found, err) : not_vouched(err);
    }
}

int key_claim_start(const Claims *cl, const KeyClaimRequest *request, key_claim_done_t on_done, void *userdata,
                    KeyClaim **ret, Error *err)
{
    KeyClaim *k = calloc(1, sizeof(*k));
    if (!k)
        return error_from_errno(err, -ENOMEM, "reading a claim");
    *k = (KeyClaim) { .claims = cl, .role = request->role, .on_done = on_done, .userdata = userdata };
    k->device = strdup(request->device);
    k->thumbprint = key_thumbprint(request->key);
    k->jwk = key_jwk(request->key);
    k->peer = strdup(request->peer);
    k->enrolment = request->enrolment ? strdup(request->enrolment) : NULL;
    k->machine = request->machine ? cJSON_Duplicate(request->machine, true) : NULL;
    int r = -ENOMEM;
    if (k->device && k->thumbprint && k->jwk && k->peer && (k->enrolment || !request->enrolment) &&
        (k->machine || !request->machine) &&
        (!request->bootstrap || sha256_hex(request->bootstrap, strlen(request->bootstrap), k->hash) >= 0))
        r = claim_find_device(k, err);
    if (r < 0) {
        key_claim_free(k);
        return error_from_errno(err, r, "reading a claim");
    }
    *ret = k;
    return 0;
}

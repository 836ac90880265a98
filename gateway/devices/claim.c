/* SPDX-License-Identifier: MIT */
/* The two requests by which a box gets tokens over HTTP; claim-key.c has the rules of a claim. */
#include "gateway/devices/claim.h"

#include <errno.h>
#include <string.h>

#include "gateway/auth/secrets.h"
#include "gateway/devices/claim-enrolment.h"
#include "gateway/devices/claim-key.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"

#define CLAIM_PATH "/api/device/claim"
#define BOOTSTRAP_SIZE_MAX 256

typedef struct Claim {
    Role role;
    char *thumbprint, *proof_id;
    KeyClaim *key_claim; /* while the database is asked */
} Claim;

static void claim_free(void *scratch)
{
    Claim *k = scratch;
    key_claim_free(k->key_claim);
    free(k->thumbprint);
    free(k->proof_id);
    free(k);
}

/* The box comes back by itself, and is let in then or waits on. */
static void answer_waiting(Request *c, int r, const Error *reason)
{
    _cleanup_(cJSON_Deletep) cJSON *body = cJSON_CreateObject();
    _cleanup_(freep) char *header = str_format("Retry-After: %d", ENROLMENT_ASK_AGAIN), *text = NULL;
    if (header && body && json_add_item(body, "error", json_from_error(reason, r)) >= 0)
        text = json_print(body);
    if (text)
        request_answer_text_with(c, http_status_for(r), text, header);
    else
        request_fail(c, -ENOMEM, NULL);
}

/* The key is registered: use the proof up, hand out the token. */
static void on_claimed(KeyClaim *key_claim _unused_, int r, bool is_new, const Error *reason, void *userdata)
{
    Request *c = userdata;
    Claim *k = c->scratch;
    const Claims *cl = c->module;
    const char *device = c->args[0];
    _cleanup_(secret_freep) char *token = NULL;
    uint64_t expires = 0;
    Error err = {};
    k->key_claim = NULL;
    if (r < 0 && str_equal(error_id(reason), "enrolment.pending")) {
        answer_waiting(c, r, reason);
        return;
    }
    if (r < 0) {
        request_fail(c, r, reason);
        return;
    }
    r = device_registry_use_proof(cl->registry, device, k->role, k->proof_id, realtime_usec() / USEC_PER_SEC, &err);
    if (r >= 0)
        r = device_token_issue(cl->tokens, device, k->role, k->thumbprint, &token, &expires, &err);
    if (r < 0) {
        request_fail(c, r, &err);
    } else {
        http_note_known(c->exchange);
        request_answer(c, is_new ? 201 : 200, device_token_json(token, expires));
    }
    error_done(&err);
}

/* Reads the body into the scratch and starts. */
static int claim_start(Request *c, const cJSON *body, Error *err)
{
    const Claims *cl = c->module;
    Claim *k = c->scratch;
    const char *device = json_string(body, "deviceId"), *bootstrap = json_string(body, "bootstrap");
    const char *proof = json_string(body, "proof"), *enrolment = json_string(body, "enrolment");
    if (!device_id_is_valid(device) || role_parse(json_string(body, "role"), &k->role) < 0 ||
        (str_empty(bootstrap) && k->role == ROLE_MGMT) || strlen(bootstrap ? bootstrap : "") > BOOTSTRAP_SIZE_MAX ||
        !proof || (enrolment && (k->role != ROLE_MGMT || strlen(enrolment) > BOOTSTRAP_SIZE_MAX)))
        return error_set(err, EINVAL, "claim.malformed",
                         "a claim needs deviceId, role (mgmt, device or recovery) and proof; with the role mgmt also"
                         " bootstrap, and only with that it may hold an enrolment token");
    _cleanup_(key_freep) Key *key = NULL;
    int r = device_proof_check(cl->tokens, proof, CLAIM_PATH, NULL, &key, &k->proof_id, err);
    if (r < 0)
        return r;
    k->thumbprint = key_thumbprint(key);
    c->args[0] = strdup(device);
    if (!k->thumbprint || !c->args[0])
        return error_from_errno(err, -ENOMEM, "reading a claim");
    const KeyClaimRequest request = {
        .device = device,
        .role = k->role,
        .bootstrap = str_empty(bootstrap) ? NULL : bootstrap,
        .key = key,
        .peer = http_peer(c->exchange),
        .enrolment = enrolment,
        .machine = cJSON_GetObjectItemCaseSensitive(body, "machine"),
    };
    return key_claim_start(cl, &request, on_claimed, c, &k->key_claim, err);
}

static void on_claim(Request *c)
{
    Error err = {};
    const cJSON *body = request_parse_body(c);
    if (!body)
        return;
    c->scratch = calloc(1, sizeof(Claim));
    c->scratch_free = claim_free;
    int r = c->scratch ? claim_start(c, body, &err) : -ENOMEM;
    if (r < 0)
        request_fail(c, r, &err);
    error_done(&err);
}

static void on_refresh(Request *c)
{
    Error err = {};
    const char *token = bearer_token(c->exchange), *proof = http_header(c->exchange, "DPoP");
    _cleanup_(secret_freep) char *fresh = NULL;
    uint64_t expires = 0;
    int r;
    if (!token || !proof)
        r = error_set(&err, EKEYREJECTED, "refresh.incomplete",
                      "a refresh needs \"Authorization: Bearer TOKEN\" and \"DPoP: PROOF\"");
    else
        r = device_token_refresh(((const Claims *) c->module)->tokens, token, proof, &fresh, &expires, &err);
    if (r < 0) {
        request_fail(c, r, &err);
    } else {
        http_note_known(c->exchange);
        request_answer(c, 200, device_token_json(fresh, expires));
    }
    error_done(&err);
}

const Route claim_routes[] = {
    { "POST", CLAIM_PATH, ACCESS_ANYONE, on_claim, "a box's first token" },
    { "POST", REFRESH_PATH, ACCESS_ANYONE, on_refresh, "a box's next token" },
    {},
};

/* SPDX-License-Identifier: MIT */
/* Two statements: one looks, the other takes one of the token's places, which only so many can. */
#include "gateway/devices/claim-enrolment.h"

#include <errno.h>
#include <string.h>

#include "gateway/auth/audit.h"
#include "lib/base/strv.h"
#include "lib/base/text.h"
#include "lib/data/digest.h"
#include "lib/data/json.h"

#define TRIES 3
#define FACT_MAX 128
#define ADDRESSES_MAX 16

struct EnrolmentClaim {
    Store *store;
    char hash[SHA256_HEX_SIZE]; /* of the token */
    char *device, *bootstrap_hash, *thumbprint, *peer, *machine;
    unsigned bootstrap_hours, tries;
    StoreQuery *query;
    void (*on_rows)(EnrolmentClaim *c, const StoreRows *rows);
    enrolment_done_t on_done;
    void *userdata;
};

EnrolmentClaim *enrolment_claim_free(EnrolmentClaim *c)
{
    if (!c)
        return NULL;
    store_query_free(c->query);
    free(c->device);
    free(c->bootstrap_hash);
    free(c->thumbprint);
    free(c->peer);
    free(c->machine);
    free(c);
    return NULL;
}

static bool is_fact(const char *text)
{
    return !str_empty(text) && strlen(text) <= FACT_MAX && text_is_plain(text);
}

static int copy_addresses(const cJSON *said, cJSON *machine)
{
    cJSON *list = cJSON_AddArrayToObject(machine, "addresses");
    const cJSON *i;
    int n = 0, r = list ? 0 : -ENOMEM;

    cJSON_ArrayForEach(i, cJSON_GetObjectItemCaseSensitive(said, "addresses")) {
        const char *address = cJSON_GetStringValue(i);
        if (r >= 0 && is_fact(address) && n++ < ADDRESSES_MAX)
            r = json_append(list, cJSON_CreateString(address));
    }
    return r;
}

cJSON *enrolment_machine(const cJSON *said)
{
    static const char *const facts[] = { "hostname", "architecture", "machineId", "version" };
    _cleanup_(cJSON_Deletep) cJSON *machine = cJSON_CreateObject();
    int r = machine ? 0 : -ENOMEM;

    for (size_t i = 0; r >= 0 && i < ELEMENTSOF(facts); i++) {
        const char *fact = json_string(said, facts[i]);
        if (is_fact(fact))
            r = json_add_string(machine, facts[i], fact);
    }
    return r < 0 || copy_addresses(said, machine) < 0 ? NULL : TAKE_PTR(machine);
}

static void claim_end(EnrolmentClaim *c, int r, const Error *err)
{
    c->on_done(r, err, c->userdata);
    enrolment_claim_free(c);
}

static void claim_refuse(EnrolmentClaim *c, int code, const char *id, const char *sentence)
{
    Error err = {};
    int r = error_set(&err, code, id, "%s", sentence);

    claim_end(c, r, &err);
    error_done(&err);
}

static void claim_wait(EnrolmentClaim *c)
{
    Error err = {};
    int r = error_set(&err, EACCES, "enrolment.pending",
                      "an operator has to let this box in: it waits there as %s, with the key fingerprint %s",
                      c->device, c->thumbprint);

    claim_end(c, r, &err);
    error_done(&err);
}

static void on_query_done(StoreQuery *q _unused_, int r, const StoreRows *rows, const Error *err, void *userdata)
{
    EnrolmentClaim *c = userdata;

    c->query = NULL;
    if (r < 0)
        claim_end(c, r, err);
    else
        c->on_rows(c, rows);
}

static int refuse_busy(Error *err)
{
    return error_set(err, ENOBUFS, "store.busy", "too many claims at once, or no database: try again");
}

/* Anyone may ask: strangers get no more than half of the queue. */
static int query(EnrolmentClaim *c, Statement st, Error *err)
{
    return store_is_busy(c->store) ? refuse_busy(err) : store_query(c->store, st, on_query_done, c, &c->query, err);
}

/* After it the claim may be gone. */
static void claim_query(EnrolmentClaim *c, Statement st, void (*on_rows)(EnrolmentClaim *c, const StoreRows *rows))
{
    Error err = {};

    c->on_rows = on_rows;
    int r = query(c, st, &err);
    if (r < 0)
        claim_end(c, r, &err);
    error_done(&err);
}

static EnrolmentAsk ask_of(const EnrolmentClaim *c)
{
    return (EnrolmentAsk) {
        .hash = c->hash,
        .device = c->device,
        .bootstrap_hash = c->bootstrap_hash,
        .thumbprint = c->thumbprint,
        .machine = c->machine,
        .peer = c->peer,
        .bootstrap_hours = c->bootstrap_hours,
    };
}

static void claim_look(EnrolmentClaim *c);

static void on_taken(EnrolmentClaim *c, const StoreRows *rows)
{
    if (store_rows_count(rows) == 0)
        claim_look(c); /* another box came between, and took the last place, or an operator revoked the token */
    else if (str_equal(store_rows_get(rows, 0, 0), "approved"))
        claim_end(c, 0, NULL);
    else
        claim_wait(c);
}

/* Somebody else means this box, or means to be it. */
static void refuse_name(EnrolmentClaim *c)
{
    cJSON *detail = cJSON_CreateObject();

    if (json_add_string(detail, "refused", c->thumbprint) < 0 || json_add_string(detail, "peer", c->peer) < 0)
        detail = (cJSON_Delete(detail), NULL);
    audit_write(c->store, &(AuditEntry) { .actor = "gateway",
                                          .action = "enrolment.name-taken",
                                          .device = c->device,
                                          .alarm = true,
                                          .detail = detail });
    claim_refuse(c, EEXIST, "enrolment.name-taken",
                 "there is another box of this name, registered or waiting: pair this one under another name");
}

static void refuse_state(EnrolmentClaim *c, const char *state)
{
    if (str_equal(state, "revoked"))
        claim_refuse(c, EKEYREJECTED, "enrolment.revoked",
                     "the enrolment token was revoked: an operator has to make another");
    else if (str_equal(state, "expired"))
        claim_refuse(c, EKEYREJECTED, "enrolment.expired",
                     "the enrolment token has expired: an operator has to make another");
    else
        claim_refuse(c, EKEYREJECTED, "enrolment.used-up",
                     "as many boxes as the enrolment token is for have come: an operator has to make another");
}

static void on_look(EnrolmentClaim *c, const StoreRows *rows)
{
    if (store_rows_count(rows) == 0) {
        claim_refuse(c, EKEYREJECTED, "enrolment.invalid", "this is no enrolment token of this cloud");
        return;
    }
    const EnrolmentState look = enrolment_state(rows);
    const EnrolmentAsk ask = ask_of(c);
    if (str_equal(look.asked, "approved"))
        claim_refuse(c, EEXIST, "enrolment.let-in-before",
                     "this box was let in before: an operator has to give it a bootstrap token, or another enrolment"
                     " token, before it can be paired again");
    else if (str_equal(look.asked, "denied"))
        claim_refuse(c, EACCES, "enrolment.denied", "an operator has refused to let this box in");
    else if (!look.asked && !str_equal(look.state, "open"))
        refuse_state(c, look.state);
    else if (look.name_taken)
        refuse_name(c);
    else if (look.asked)
        claim_wait(c);
    else
        claim_query(c, sql_enrolment_take(&ask), on_taken);
}

static void claim_look(EnrolmentClaim *c)
{
    const EnrolmentAsk ask = ask_of(c);
    Error err = {};

    if (++c->tries > TRIES)
        claim_end(c, refuse_busy(&err), &err);
    else
        claim_query(c, sql_enrolment_look(&ask), on_look);
    error_done(&err);
}

static int copy_request(EnrolmentClaim *c, const EnrolmentRequest *q)
{
    _cleanup_(cJSON_Deletep) cJSON *machine = enrolment_machine(q->machine);

    c->device = strdup(q->device);
    c->bootstrap_hash = strdup(q->bootstrap_hash);
    c->thumbprint = strdup(q->thumbprint);
    c->peer = strdup(q->peer);
    c->machine = machine ? json_print(machine) : NULL;
    return c->device && c->bootstrap_hash && c->thumbprint && c->peer && c->machine
               ? sha256_hex(q->token, strlen(q->token), c->hash)
               : -ENOMEM;
}

int enrolment_claim_start(Store *store, const EnrolmentRequest *request, enrolment_done_t on_done, void *userdata,
                          EnrolmentClaim **ret, Error *err)
{
    EnrolmentClaim *c = calloc(1, sizeof(*c));

    if (!c)
        return error_from_errno(err, -ENOMEM, "reading a claim");
    *c = (EnrolmentClaim) { .store = store,
                            .bootstrap_hours = request->bootstrap_hours,
                            .on_done = on_done,
                            .userdata = userdata,
                            .tries = 1,
                            .on_rows = on_look };
    int r = copy_request(c, request);
    if (r >= 0) {
        const EnrolmentAsk ask = ask_of(c);
        r = query(c, sql_enrolment_look(&ask), err);
    }
    if (r < 0) {
        enrolment_claim_free(c);
        return error_from_errno(err, r, "reading a claim");
    }
    *ret = c;
    return 0;
}

/* SPDX-License-Identifier: MIT */
/* See api-grants.h. */
#include "gateway/sessions/api-grants.h"

#include <errno.h>
#include <string.h>

#include "gateway/auth/device-registry.h"
#include "gateway/http/label-scope.h"
#include "gateway/http/order-body.h"
#include "gateway/sessions/grants.h"
#include "gateway/sessions/support-session.h"
#include "gateway/store/grants-table.h"
#include "gateway/store/sessions-table.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"

#define GRANT_ID_SIZE 19 /* "g-" and 16 digits, with NUL */
#define LIMIT_MAX 1000
#define ENVELOPE_MAX (8 * 1024)
#define LIMIT 200

static void on_document(Request *c, const StoreRows *rows)
{
    request_answer_text(c, 200, store_rows_get(rows, 0, 0));
}

static void on_grant(Request *c, const StoreRows *rows)
{
    Error err = {};
    if (store_rows_count(rows) > 0) {
        request_answer_text(c, 200, store_rows_get(rows, 0, 0));
        return;
    }
    request_fail(c, grant_not_found(c->args[0], &err), &err);
    error_done(&err);
}

static void on_revoked(Request *c, const StoreRows *rows)
{
    if (store_rows_count(rows) > 0)
        support_sessions_end_grant(c->module, c->args[0], "grant.revoked", "the grant was revoked");
    on_grant(c, rows);
}

static void on_added(Request *c, const StoreRows *rows)
{
    Error err = {};
    if (store_rows_count(rows) > 0) {
        request_answer_text(c, 201, store_rows_get(rows, 0, 0));
        return;
    }
    int r = c->labels ? label_scope_refuse(c, request_person(c), SCOPE_DEVICE, json_string(c->body, "device"), &err)
                      : error_set(&err, ENOENT, "device.not-found", "there is no such device here");
    request_fail(c, r, &err);
    error_done(&err);
}

static void store_grant(Request *c, const GrantRequest *q, const char *envelope)
{
    char id[RANDOM_ID_SIZE + 2];
    memcpy(id, "g-", 2);
    if (random_id(id + 2) < 0) {
        request_fail(c, -ENOMEM, NULL);
        return;
    }
    id[GRANT_ID_SIZE - 1] = '\0';
    const NewGrant grant = {
        .id = id,
        .device = q->device,
        .person = request_person(c),
        .reason = q->reason,
        .actor = c->actor,
        .account = q->account,
        .labels = c->labels,
        .seconds = q->seconds,
        .max_seconds = q->max_seconds,
        .idle_seconds = q->idle_seconds,
        .forwarding = q->forwarding,
        .break_glass = q->break_glass,
        .envelope = envelope,
    };
    request_query(c, sql_grant_add(&grant), on_added);
}

static void add(Request *c)
{
    Error err = {};
    GrantRequest q = {};
    const cJSON *body = request_parse_body(c);
    if (!body)
        return;
    int r = grant_request_read(body, &q, &err);
    _cleanup_(freep) char *envelope = NULL;
    if (r >= 0)
        r = grant_account_check(c->accounts, q.account, &err);
    if (r >= 0)
        r = order_body_read(body, &envelope, &err);
    /* it has to fit into one message to the box, which is short */
    if (r >= 0 && envelope && (!q.break_glass || strlen(envelope) > ENVELOPE_MAX))
        r = error_set(&err, EINVAL, "grant.bad-order", "only break-glass grants are signed, and in %d bytes at most",
                      ENVELOPE_MAX);
    if (r < 0)
        request_fail(c, r, &err);
    else
        store_grant(c, &q, envelope);
    error_done(&err);
}

/* The box that ?device= names; on failure the request is answered and negative returned. *ret may be NULL then and is
 * owned by the caller. */
static int query_device(Request *c, char **ret)
{
    Error err = {};
    char *device = http_query(c->exchange, "device");
    if (!device || device_id_is_valid(device)) {
        *ret = device;
        return 0;
    }
    free(device);
    request_fail(
        c, error_set(&err, EINVAL, "request.bad-parameter", "the parameter \"device\" must be the id of a box"), &err);
    error_done(&err);
    return -EINVAL;
}

static void list(Request *c)
{
    uint64_t open = 0, mine = 0;
    _cleanup_(freep) char *device = NULL;
    if (request_query_u64(c, "open", 1, 0, &open) < 0 || request_query_u64(c, "mine", 1, 0, &mine) < 0 ||
        query_device(c, &device) < 0)
        return;
    request_query(c, sql_grants(device, mine ? request_person(c) : NULL, open, c->labels), on_document);
}

static void show(Request *c)
{
    request_query(c, sql_grant(c->args[0]), on_grant);
}

static void revoke_grant(Request *c)
{
    request_query(c, sql_grant_revoke(c->args[0], c->actor), on_revoked);
}

static void list_sessions(Request *c)
{
    uint64_t limit = 0;
    _cleanup_(freep) char *device = NULL;
    if (request_query_u64(c, "limit", LIMIT_MAX, LIMIT, &limit) < 0 || query_device(c, &device) < 0)
        return;
    request_query(c, sql_sessions(device, limit, c->labels), on_document);
}

const Route grant_routes[] = {
    { "POST", "/v1/grants", ACCESS_SUPPORT, add, "ask for the right to log in to a box" },
    { "GET", "/v1/grants", ACCESS_VIEWER, list, "grants, newest first" },
    { "GET", "/v1/grants/*", ACCESS_VIEWER, show, "one grant" },
    { "POST", "/v1/grants/*/revoke", ACCESS_SUPPORT, revoke_grant, "end a grant and its sessions" },
    { "GET", "/v1/sessions", ACCESS_VIEWER, list_sessions, "who was logged in where" },
    {},
};

/* SPDX-License-Identifier: MIT */
/* Routes about grants and about the sessions that were opened under them. */
#include "gateway/http/api.h"

#include <errno.h>
#include <string.h>

#include "gateway/auth/auth.h"
#include "gateway/sessions/grants.h"
#include "gateway/sessions/support-session.h"
#include "gateway/store/grants-table.h"
#include "gateway/store/sessions-table.h"
#include "lib/base/strv.h"

#define GRANT_ID_SIZE 19 /* "g-" and 16 digits, with NUL */
#define LIMIT_MAX 1000
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
        support_sessions_end_grant(c->gateway, c->args[0], "grant.revoked", "the grant was revoked");
    on_grant(c, rows);
}

static void on_added(Request *c, const StoreRows *rows)
{
    Error err = {};
    if (store_rows_count(rows) > 0) {
        request_answer_text(c, 201, store_rows_get(rows, 0, 0));
        return;
    }
    request_fail(c, error_set(&err, ENOENT, "device.not-found", "there is no such device here"), &err);
    error_done(&err);
}

static void add(Request *c, const GrantRequest *q)
{
    char id[REQUEST_ID_SIZE + 2];
    memcpy(id, "g-", 2);
    if (random_id(id + 2) < 0) {
        request_fail(c, -ENOMEM, NULL);
        return;
    }
    id[GRANT_ID_SIZE - 1] = '\0';
    const NewGrant grant = {
        .id = id,
        .device = q->device,
        .person = auth_person(c),
        .reason = q->reason,
        .actor = c->actor,
        .seconds = q->seconds,
        .max_seconds = q->max_seconds,
        .idle_seconds = q->idle_seconds,
        .forwarding = q->forwarding,
        .break_glass = q->break_glass,
    };
    request_query(c, sql_grant_add(&grant), on_added);
}

void api_grants_add(Request *c)
{
    Error err = {};
    GrantRequest q = {};
    const cJSON *body = request_parse_body(c);
    if (!body)
        return;
    int r = grant_request_read(body, &q, &err);
    if (r < 0)
        request_fail(c, r, &err);
    else
        add(c, &q);
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
    request_fail(c, error_set(&err, EINVAL, "request.bad-parameter", "the parameter \"device\" must be the id of a box"), &err);
    error_done(&err);
    return -EINVAL;
}

void api_grants_list(Request *c)
{
    uint64_t open = 0, mine = 0;
    _cleanup_(freep) char *device = NULL;
    if (request_query_u64(c, "open", 1, 0, &open) < 0 || request_query_u64(c, "mine", 1, 0, &mine) < 0 ||
        query_device(c, &device) < 0)
        return;
    request_query(c, sql_grants(device, mine ? auth_person(c) : NULL, open), on_document);
}

void api_grants_show(Request *c)
{
    request_query(c, sql_grant(c->args[0]), on_grant);
}

void api_grants_revoke(Request *c)
{
    request_query(c, sql_grant_revoke(c->args[0], c->actor), on_revoked);
}

void api_sessions_list(Request *c)
{
    uint64_t limit = 0;
    _cleanup_(freep) char *device = NULL;
    if (request_query_u64(c, "limit", LIMIT_MAX, LIMIT, &limit) < 0 || query_device(c, &device) < 0)
        return;
    request_query(c, sql_sessions(device, limit), on_document);
}

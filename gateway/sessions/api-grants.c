/* SPDX-License-Identifier: MIT */
/* Routes about grants and about the sessions that were opened under them. */
#include "gateway/http/api.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "gateway/auth/auth.h"
#include "gateway/sessions/grants.h"
#include "gateway/sessions/support-session.h"
#include "lib/base/strv.h"

#define GRANT_ID_SIZE 19 /* "g-" and 16 digits, with NUL */
#define LIMIT_MAX 1000
#define LIMIT 200
#define NUMBER_SIZE 24

/* of a row g of grants */
#define GRANT_JSON                                                                                           \
    "jsonb_strip_nulls(jsonb_build_object('id', g.id, 'device', g.device, 'person', g.person,"               \
    " 'reason', g.reason, 'createdAt', secbox_time(g.created_at), 'expiresAt', secbox_time(g.expires_at),"   \
    " 'maxSeconds', g.max_seconds, 'idleSeconds', g.idle_seconds, 'forwarding', g.forwarding,"               \
    " 'breakGlass', g.break_glass, 'revokedAt', secbox_time(g.revoked_at), 'revokedBy', g.revoked_by,"       \
    " 'state', CASE WHEN g.revoked_at IS NOT NULL THEN 'revoked' WHEN g.expires_at <= now() THEN 'expired'"  \
    " ELSE 'open' END))"

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
    char id[REQUEST_ID_SIZE + 2], seconds[NUMBER_SIZE], max_seconds[NUMBER_SIZE], idle_seconds[NUMBER_SIZE];
    memcpy(id, "g-", 2);
    if (random_id(id + 2) < 0) {
        request_fail(c, -ENOMEM, NULL);
        return;
    }
    id[GRANT_ID_SIZE - 1] = '\0';
    snprintf(seconds, sizeof(seconds), "%u", q->seconds);
    snprintf(max_seconds, sizeof(max_seconds), "%u", q->max_seconds);
    snprintf(idle_seconds, sizeof(idle_seconds), "%u", q->idle_seconds);
    const char *params[] = { id,           q->device,    auth_person(c), q->reason,
                             seconds,      max_seconds,  idle_seconds,   q->forwarding ? "true" : "false",
                             q->break_glass ? "true" : "false", c->actor };
    request_query(c,
               "WITH g AS (INSERT INTO grants(id, device, person, reason, expires_at, max_seconds, idle_seconds,"
               " forwarding, break_glass) SELECT $1, d.id, $3, $4, now() + make_interval(secs => $5::integer),"
               " $6::integer, $7::integer, $8::boolean, $9::boolean FROM devices d WHERE d.id = $2 RETURNING *),"
               " a AS (INSERT INTO audit(actor, action, device, alarm, detail)"
               " SELECT $10, 'grant.added', g.device, g.break_glass, jsonb_build_object('grant', g.id,"
               " 'reason', g.reason, 'expiresAt', secbox_time(g.expires_at), 'maxSeconds', g.max_seconds,"
               " 'idleSeconds', g.idle_seconds, 'forwarding', g.forwarding, 'breakGlass', g.break_glass) FROM g)"
               " SELECT jsonb_build_object('grant', " GRANT_JSON ") FROM g",
               params, ELEMENTSOF(params), on_added);
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
    const char *params[] = { device, mine ? auth_person(c) : NULL, open ? "true" : "false" };
    request_query(c,
               "SELECT jsonb_build_object('grants', coalesce(jsonb_agg(" GRANT_JSON " ORDER BY g.created_at DESC),"
               " '[]'::jsonb)) FROM (SELECT * FROM grants WHERE ($1::text IS NULL OR device = $1)"
               " AND ($2::text IS NULL OR person = $2)"
               " AND (NOT $3::boolean OR (revoked_at IS NULL AND expires_at > now()))"
               " ORDER BY created_at DESC LIMIT 200) g",
               params, ELEMENTSOF(params), on_document);
}

void api_grants_show(Request *c)
{
    const char *params[] = { c->args[0] };
    request_query(c, "SELECT jsonb_build_object('grant', " GRANT_JSON ") FROM grants g WHERE g.id = $1", params,
               ELEMENTSOF(params), on_grant);
}

void api_grants_revoke(Request *c)
{
    const char *params[] = { c->args[0], c->actor };
    request_query(c,
               "WITH o AS (SELECT revoked_at IS NULL AS fresh FROM grants WHERE id = $1),"
               " g AS (UPDATE grants SET revoked_at = coalesce(revoked_at, now()),"
               " revoked_by = coalesce(revoked_by, $2) WHERE id = $1 RETURNING *),"
               " a AS (INSERT INTO audit(actor, action, device, detail) SELECT $2, 'grant.revoked', g.device,"
               " jsonb_build_object('grant', g.id, 'person', g.person) FROM g, o WHERE o.fresh)"
               " SELECT jsonb_build_object('grant', " GRANT_JSON ") FROM g",
               params, ELEMENTSOF(params), on_revoked);
}

void api_sessions_list(Request *c)
{
    uint64_t limit = 0;
    char text[NUMBER_SIZE];
    _cleanup_(freep) char *device = NULL;
    if (request_query_u64(c, "limit", LIMIT_MAX, LIMIT, &limit) < 0 || query_device(c, &device) < 0)
        return;
    snprintf(text, sizeof(text), "%" PRIu64, limit);
    const char *params[] = { device, text };
    request_query(c,
               "SELECT jsonb_build_object('sessions', coalesce(jsonb_agg(jsonb_strip_nulls(jsonb_build_object("
               "'id', s.id, 'grant', s.grant_id, 'device', s.device, 'person', s.person, 'reason', s.reason,"
               " 'way', s.way, 'openedAt', secbox_time(s.opened_at), 'closedAt', secbox_time(s.closed_at),"
               " 'bytesToBox', s.to_box::text, 'bytesFromBox', s.from_box::text, 'endReason', s.end_reason))"
               " ORDER BY s.opened_at DESC), '[]'::jsonb))"
               " FROM (SELECT b.*, g.device, g.person, g.reason FROM bridge_sessions b JOIN grants g"
               " ON g.id = b.grant_id WHERE $1::text IS NULL OR g.device = $1"
               " ORDER BY b.opened_at DESC LIMIT $2::bigint) s",
               params, ELEMENTSOF(params), on_document);
}

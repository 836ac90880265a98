/* SPDX-License-Identifier: MIT */
/* GET /v1/audit */
#include "gateway/http/api.h"

#include <stdio.h>

#include <inttypes.h>

#define AUDIT_LIMIT_MAX 1000
#define AUDIT_LIMIT 100

static void on_entries(Request *c, const StoreRows *rows)
{
    request_answer_text(c, 200, store_rows_get(rows, 0, 0));
}

void api_audit_list(Request *c)
{
    uint64_t limit;
    if (request_query_u64(c, "limit", AUDIT_LIMIT_MAX, AUDIT_LIMIT, &limit) < 0)
        return;
    char text[24];
    snprintf(text, sizeof(text), "%" PRIu64, limit);
    const char *params[] = { text };
    request_query(
        c,
        "SELECT jsonb_build_object('entries', coalesce(jsonb_agg(jsonb_strip_nulls(jsonb_build_object("
        "'id', a.id::text, 'at', secbox_time(a.at), 'actor', a.actor, 'action', a.action, 'device', a.device,"
        " 'alarm', a.alarm, 'detail', a.detail)) ORDER BY a.id DESC), '[]'::jsonb))"
        " FROM (SELECT * FROM audit ORDER BY id DESC LIMIT $1::bigint) a",
        params, 1, on_entries);
}

/* SPDX-License-Identifier: MIT */
/* GET /v1/audit */
#include "gateway/http/api-audit.h"

#include "gateway/store/audit-table.h"

#define AUDIT_LIMIT_MAX 1000
#define AUDIT_LIMIT 100

static void on_entries(Request *c, const StoreRows *rows)
{
    request_answer_text(c, 200, store_rows_get(rows, 0, 0));
}

static void on_list(Request *c)
{
    uint64_t limit, before;
    if (request_query_u64(c, "limit", AUDIT_LIMIT_MAX, AUDIT_LIMIT, &limit) < 0 ||
        request_query_u64(c, "before", INT64_MAX, 0, &before) < 0)
        return;
    request_note_read(c, "audit.read");
    request_query(c, sql_audit_list(limit, before, c->labels), on_entries);
}

const Route audit_routes[] = {
    { "GET", "/v1/audit", ACCESS_VIEWER, on_list, "who did what" },
    {},
};

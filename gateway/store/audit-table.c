/* SPDX-License-Identifier: MIT */
#include "gateway/store/audit-table.h"

Statement sql_audit_add(const AuditRow *a)
{
    return STATEMENT("INSERT INTO audit(actor, action, device, alarm, detail)"
                     " VALUES ($1, $2, $3, $4::boolean, $5::jsonb)",
                     sql_text(a->actor), sql_text(a->action), sql_text(a->device), sql_flag(a->alarm),
                     sql_text(a->detail));
}

Statement sql_audit_list(uint64_t limit)
{
    return STATEMENT(
        "SELECT jsonb_build_object('entries', coalesce(jsonb_agg(jsonb_strip_nulls(jsonb_build_object("
        "'id', a.id::text, 'at', secbox_time(a.at), 'actor', a.actor, 'action', a.action, 'device', a.device,"
        " 'alarm', a.alarm, 'detail', a.detail)) ORDER BY a.id DESC), '[]'::jsonb))"
        " FROM (SELECT * FROM audit ORDER BY id DESC LIMIT $1::bigint) a",
        sql_number((int64_t) limit));
}

/* SPDX-License-Identifier: MIT */
#include "gateway/store/audit-table.h"

Statement sql_audit_add(const AuditRow *a)
{
    return STATEMENT("INSERT INTO audit(actor, action, device, alarm, detail)"
                     " VALUES ($1, $2, $3, $4::boolean, $5::jsonb)",
                     sql_text(a->actor), sql_text(a->action), sql_text(a->device), sql_flag(a->alarm),
                     sql_text(a->detail));
}

#define AT "'epoch'::timestamptz + $6::bigint * interval '1 microsecond'"
/* how far back an entry is looked for that may be there */
#define LATEST "(SELECT coalesce(max(id), 0) - 100000 FROM audit)"

Statement sql_audit_add_at(const AuditRow *a, uint64_t at)
{
    return STATEMENT("INSERT INTO audit(actor, action, device, alarm, detail, at)"
                     " VALUES ($1, $2, $3, $4::boolean, $5::jsonb, " AT ")",
                     sql_text(a->actor), sql_text(a->action), sql_text(a->device), sql_flag(a->alarm),
                     sql_text(a->detail), sql_number((int64_t) at));
}

Statement sql_audit_add_again(const AuditRow *a, uint64_t at)
{
    return STATEMENT("INSERT INTO audit(actor, action, device, alarm, detail, at)"
                     " SELECT $1::text, $2::text, $3::text, $4::boolean, $5::jsonb, " AT
                     " WHERE NOT EXISTS (SELECT FROM audit WHERE id > " LATEST " AND at = " AT
                     " AND actor = $1::text AND action = $2::text AND detail = $5::jsonb)",
                     sql_text(a->actor), sql_text(a->action), sql_text(a->device), sql_flag(a->alarm),
                     sql_text(a->detail), sql_number((int64_t) at));
}

/* In order, each unless it is there. */
Statement sql_audit_add_all(const char *entries)
{
    return STATEMENT("INSERT INTO audit(actor, action, device, alarm, detail, at)"
                     " SELECT e.actor, e.action, e.device, e.alarm, e.detail::jsonb, e.moment"
                     " FROM (SELECT x.*, 'epoch'::timestamptz + x.at * interval '1 microsecond' AS moment"
                     " FROM jsonb_to_recordset($1::jsonb) AS x(actor text, action text, device text, alarm boolean,"
                     " detail text, at bigint)) e"
                     " WHERE NOT EXISTS (SELECT FROM audit a WHERE a.id > " LATEST " AND a.at = e.moment"
                     " AND a.actor = e.actor AND a.action = e.action AND a.detail = e.detail::jsonb) ORDER BY e.at",
                     sql_text(entries));
}

Statement sql_audit_add_once(const AuditRow *a, const char *key, const char *other_key)
{
    return STATEMENT("INSERT INTO audit(actor, action, device, alarm, detail)"
                     " SELECT $1::text, $2::text, $3::text, $4::boolean, $5::jsonb WHERE NOT EXISTS (SELECT FROM audit"
                     " WHERE device = $3::text AND action = $2::text AND detail->>$6::text = $5::jsonb->>$6::text"
                     " AND detail->>$7::text = $5::jsonb->>$7::text)"
                     " RETURNING actor, action, device, CASE WHEN alarm THEN 'alarm' END, detail",
                     sql_text(a->actor), sql_text(a->action), sql_text(a->device), sql_flag(a->alarm),
                     sql_text(a->detail), sql_text(key), sql_text(other_key));
}

Statement sql_audit_list(uint64_t limit, uint64_t before, const char *labels)
{
    return STATEMENT(
        "SELECT jsonb_build_object('entries', coalesce(jsonb_agg(jsonb_strip_nulls(jsonb_build_object("
        "'id', a.id::text, 'at', secbox_time(a.at), 'actor', a.actor, 'action', a.action, 'device', a.device,"
        " 'alarm', a.alarm, 'detail', a.detail)) ORDER BY a.id DESC), '[]'::jsonb))"
        " FROM (SELECT * FROM audit WHERE ($2::text IS NULL OR device IN (SELECT id FROM devices"
        " WHERE labels @> $2::jsonb)) AND ($3::bigint = 0 OR id < $3::bigint) ORDER BY id DESC LIMIT $1::bigint) a",
        sql_number((int64_t) limit), sql_text(labels), sql_number((int64_t) before));
}

Statement sql_audit_links(uint64_t behind, uint64_t limit)
{
    return STATEMENT("SELECT c.seq, c.entry, c.hash, CASE WHEN a.id IS NOT NULL THEN " AUDIT_CANONICAL " END,"
                     " secbox_time(a.at), a.action FROM audit_chain c LEFT JOIN audit a ON a.id = c.entry"
                     " WHERE c.seq > $1::bigint ORDER BY c.seq LIMIT $2::bigint",
                     sql_number((int64_t) behind), sql_number((int64_t) limit));
}

Statement sql_audit_unlinked(uint64_t behind, uint64_t limit)
{
    return STATEMENT("SELECT max(id), min(id) FILTER (WHERE NOT linked) FROM (SELECT a.id,"
                     " EXISTS (SELECT FROM audit_chain c WHERE c.entry = a.id) AS linked FROM audit a"
                     " WHERE a.id > greatest($1::bigint, (SELECT coalesce(min(entry), 0) FROM audit_chain))"
                     " ORDER BY a.id LIMIT $2::bigint) page",
                     sql_number((int64_t) behind), sql_number((int64_t) limit));
}

Statement sql_audit_head(void)
{
    return (Statement) { .sql = "SELECT seq || ':' || hash FROM audit_chain ORDER BY seq DESC LIMIT 1" };
}

Statement sql_audit_has_link(uint64_t number, const char *hash)
{
    return STATEMENT("SELECT EXISTS (SELECT FROM audit_chain WHERE seq = $1::bigint AND hash = $2::text)",
                     sql_number((int64_t) number), sql_text(hash));
}

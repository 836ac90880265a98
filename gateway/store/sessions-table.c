/* SPDX-License-Identifier: MIT */
#include "gateway/store/sessions-table.h"

#include "gateway/store/withdrawn.h"

/* of an audit entry about a session s and its grant g */
#define SESSION_JSON "'session', s.id, 'grant', g.id, 'person', g.person, 'reason', g.reason, 'way', s.way"

Statement sql_session_open(const char *id, const char *grant, const char *way, const char *opened_at,
                           const char *certificate)
{
    return STATEMENT(
        "WITH s AS (INSERT INTO bridge_sessions(id, grant_id, way, opened_at, certificate)"
        " VALUES ($1, $2, $3, $4::timestamptz, $5::bigint)"
        " ON CONFLICT (id) DO NOTHING RETURNING *)"
        " INSERT INTO audit(actor, action, device, detail) SELECT 'operator:' || g.person, 'bridge.opened', g.device,"
        " jsonb_build_object(" SESSION_JSON ") FROM s JOIN grants g ON g.id = s.grant_id",
        sql_text(id), sql_text(grant), sql_text(way), sql_text(opened_at), sql_text(certificate));
}

Statement sql_session_bytes(const char *id, uint64_t to_box, uint64_t from_box)
{
    return STATEMENT("UPDATE bridge_sessions SET to_box = $2::bigint, from_box = $3::bigint"
                     " WHERE id = $1 AND closed_at IS NULL",
                     sql_text(id), sql_number((int64_t) to_box), sql_number((int64_t) from_box));
}

Statement sql_session_close(const SessionEnd *e)
{
    return STATEMENT(
        "WITH s AS (UPDATE bridge_sessions SET to_box = $2::bigint, from_box = $3::bigint, closed_at = $4::timestamptz,"
        " end_reason = $5::text WHERE id = $1 AND closed_at IS NULL RETURNING *)"
        " INSERT INTO audit(actor, action, device, detail) SELECT 'operator:' || g.person, 'bridge.closed', g.device,"
        " jsonb_build_object(" SESSION_JSON ","
        " 'bytesToBox', s.to_box::text, 'bytesFromBox', s.from_box::text,"
        " 'seconds', round(extract(epoch FROM s.closed_at - s.opened_at)), 'endReason', s.end_reason)"
        " FROM s JOIN grants g ON g.id = s.grant_id"
        " RETURNING CASE WHEN $5::text <> 'closed' THEN " SQL_TELL_WITHDRAWN " END",
        sql_text(e->id), sql_number((int64_t) e->to_box), sql_number((int64_t) e->from_box), sql_text(e->closed_at),
        sql_text(e->reason));
}

Statement sql_sessions_close_all(const char *reason)
{
    return STATEMENT("WITH s AS (UPDATE bridge_sessions SET closed_at = now(), end_reason = $1"
                     " WHERE closed_at IS NULL RETURNING *)"
                     " INSERT INTO audit(actor, action, device, detail) SELECT 'operator:' || g.person,"
                     " 'bridge.closed', g.device, jsonb_build_object(" SESSION_JSON ", 'endReason', s.end_reason)"
                     " FROM s JOIN grants g ON g.id = s.grant_id",
                     sql_text(reason));
}

Statement sql_sessions(const char *device, uint64_t limit, const char *labels)
{
    return STATEMENT("SELECT jsonb_build_object('sessions', coalesce(jsonb_agg(jsonb_strip_nulls(jsonb_build_object("
                     "'id', s.id, 'grant', s.grant_id, 'device', s.device, 'person', s.person, 'reason', s.reason,"
                     " 'way', s.way, 'openedAt', secbox_time(s.opened_at), 'closedAt', secbox_time(s.closed_at),"
                     " 'bytesToBox', s.to_box::text, 'bytesFromBox', s.from_box::text, 'endReason', s.end_reason))"
                     " ORDER BY s.opened_at DESC), '[]'::jsonb))"
                     " FROM (SELECT b.*, g.device, g.person, g.reason FROM bridge_sessions b JOIN grants g"
                     " ON g.id = b.grant_id WHERE ($1::text IS NULL OR g.device = $1)"
                     " AND ($3::text IS NULL OR EXISTS (SELECT FROM devices d WHERE d.id = g.device"
                     " AND d.labels @> $3::jsonb))"
                     " ORDER BY b.opened_at DESC LIMIT $2::bigint) s",
                     sql_text(device), sql_number((int64_t) limit), sql_text(labels));
}

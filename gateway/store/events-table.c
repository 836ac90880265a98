/* SPDX-License-Identifier: MIT */
#include "gateway/store/events-table.h"

Statement sql_events_store(const char *device, const char *events)
{
    /* one writer at a time, so that a reader who has seen a number has seen all before it */
    return STATEMENT_OFTEN(
        "WITH turn AS MATERIALIZED (SELECT pg_advisory_xact_lock(7301992544120782)),"
        " e AS (SELECT x.* FROM turn, jsonb_to_recordset($2::jsonb) AS x(n bigint, \"clientId\" uuid, kind text,"
        " at timestamptz, community uuid, data jsonb)),"
        /* what it serves, or has served: a queue is not rewritten when the label changes */
        " mine AS (SELECT c.id FROM communities c WHERE c.id::text = (SELECT lower(d.labels->>'community')"
        " FROM devices d WHERE d.id = $1)"
        " UNION SELECT p.community FROM box_positions p WHERE p.device = $1 AND p.applied_at IS NOT NULL),"
        " i AS (INSERT INTO box_events(client_id, device, community, kind, at, data)"
        " SELECT e.\"clientId\", $1, e.community, e.kind, e.at, e.data FROM e"
        " WHERE e.community IN (SELECT id FROM mine) ORDER BY e.n"
        " ON CONFLICT (client_id) DO NOTHING RETURNING client_id)"
        /* only of those that are not new is it looked up who sent them first */
        " SELECT e.\"clientId\", CASE WHEN e.\"clientId\" NOT IN (SELECT client_id FROM i) THEN nullif(coalesce("
        "(SELECT CASE b.device WHEN $1 THEN '' ELSE 'event.taken' END FROM box_events b"
        " WHERE b.client_id = e.\"clientId\"), 'event.community'), '') END, e.community FROM e ORDER BY e.n",
        sql_text(device), sql_text(events));
}

Statement sql_events(const char *community, const char *kind, uint64_t after, uint64_t limit)
{
    return STATEMENT("SELECT jsonb_build_object('events', coalesce(jsonb_agg(jsonb_build_object(" EVENT_MEMBERS
                     ") || coalesce((SELECT"
                     " jsonb_build_object('photos', jsonb_agg(jsonb_build_object('sha256', p.sha256, 'state', CASE"
                     " WHEN f.sha256 IS NULL THEN 'waiting' WHEN f.gone_at IS NULL THEN 'stored' ELSE 'expired' END)"
                     " ORDER BY p.sha256)) FROM box_photos p LEFT JOIN photo_files f USING (community, sha256)"
                     " WHERE p.event = e.seq HAVING count(*) > 0), '{}') ORDER BY e.seq), '[]'::jsonb),"
                     " 'next', coalesce(max(e.seq), $3::bigint)::text),"
                     " EXISTS (SELECT FROM communities c WHERE c.id = $1::uuid), count(e.seq)"
                     " FROM (SELECT * FROM box_events WHERE community = $1::uuid AND seq > $3::bigint"
                     " AND ($2::text IS NULL OR kind = $2) ORDER BY seq LIMIT $4::bigint) e",
                     sql_text(community), sql_text(kind), sql_number((int64_t) after), sql_number((int64_t) limit));
}

/* Of each community those that came first: what a webhook has not sent yet lies behind all that may go. Nothing is sent any more by
 * a webhook that has stopped, nor for a community that is gone. */
Statement sql_events_remove_old(unsigned days, unsigned step)
{
    return STATEMENT(
        "DELETE FROM box_events WHERE seq IN (SELECT o.seq FROM communities c"
        " CROSS JOIN LATERAL (SELECT b.seq, b.received_at FROM box_events b WHERE b.community = c.id"
        " ORDER BY b.seq LIMIT $2::bigint) o LEFT JOIN webhooks w ON w.community = c.id"
        " WHERE o.received_at < now() - $1::bigint * interval '1 day'"
        " AND (w.community IS NULL OR o.seq <= w.behind OR w.stopped OR NOT EXISTS (SELECT FROM community_rows r"
        " WHERE r.kind = 'communities' AND r.id = c.id AND NOT r.deleted)) LIMIT $2::bigint)"
        " RETURNING 1",
        sql_number(days), sql_number(step));
}

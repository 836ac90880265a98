/* SPDX-License-Identifier: MIT */
#include "gateway/store/sync-table.h"

#include <errno.h>

Statement sql_box_community(const char *device)
{
    return STATEMENT("SELECT d.labels->>'community', c.id, c.epoch, c.version, c.log_floor FROM devices d"
                     " LEFT JOIN communities c ON c.id::text = lower(d.labels->>'community')"
                     " AND EXISTS (SELECT FROM community_rows r WHERE r.kind = 'communities' AND r.id = c.id"
                     " AND NOT r.deleted) WHERE d.id = $1",
                     sql_text(device));
}

int box_community_row(const StoreRows *rows, BoxCommunityRow *ret)
{
    *ret = (BoxCommunityRow) {
        .label = store_rows_get(rows, 0, 0),
        .community = store_rows_get(rows, 0, 1),
        .epoch = store_rows_get(rows, 0, 2),
    };
    if (!ret->community)
        return 0;
    int r = store_rows_u64(rows, 0, 3, INT64_MAX, &ret->version);
    return r < 0 ? r : store_rows_u64(rows, 0, 4, INT64_MAX, &ret->log_floor);
}

Statement sql_communities_changed(void)
{
    return (Statement) { .sql =
                             "SELECT id, epoch, version FROM communities WHERE changed_at > now() - interval '1 min'" };
}

Statement sql_epoch_renew(const char *community, const char *epoch, uint64_t version, const char *device, bool tell)
{
    /* one that is being imported into is looked at the next time: no box waits for another community's import */
    return STATEMENT("WITH o AS MATERIALIZED (SELECT id FROM communities WHERE id = $1::uuid AND epoch = $2::uuid"
                     " AND version < $3::bigint AND coalesce(epoch_renewed_at < now() - interval '1 hour', true)"
                     " FOR NO KEY UPDATE SKIP LOCKED),"
                     " c AS (UPDATE communities SET epoch = gen_random_uuid(), epoch_renewed_at = now(),"
                     " changed_at = now() WHERE id IN (SELECT id FROM o) RETURNING *),"
                     " a AS (INSERT INTO audit(actor, action, device, alarm, detail) SELECT 'gateway',"
                     " $6, $4, true, jsonb_build_object('community', m.id, 'boxHas', $3::text,"
                     " 'version', m.version::text, 'renewed', EXISTS (SELECT FROM c)) FROM communities m"
                     " WHERE m.id = $1::uuid AND m.epoch = $2::uuid AND m.version < $3::bigint"
                     " AND ($5::boolean OR EXISTS (SELECT FROM c)))"
                     " SELECT epoch, version, id FROM c",
                     sql_text(community), sql_text(epoch), sql_number((int64_t) version), sql_text(device),
                     sql_flag(tell), sql_text("community.history-lost"));
}

Statement sql_delta(const char *community, const char *epoch, uint64_t from, uint64_t up_to)
{
    return STATEMENT(
        "WITH x AS (SELECT l.*, sum(octet_length(l.data::text) + 120) OVER (ORDER BY l.version) AS size"
        " FROM communities c JOIN LATERAL (SELECT * FROM community_changes l WHERE l.community = c.id"
        " AND l.version > $3::bigint AND l.version <= $4::bigint ORDER BY l.version LIMIT 500) l ON true"
        " WHERE c.id = $1::uuid AND c.epoch = $2::uuid AND c.log_floor <= $3::bigint),"
        " y AS (SELECT * FROM x WHERE size < 450000 OR version = $3::bigint + 1)"
        " SELECT jsonb_build_object('type', 'delta.changes', 'community', $1::text, 'epoch', $2::text,"
        " 'from', $3::text, 'to', max(version)::text, 'changes', jsonb_agg(jsonb_build_object('table', kind, 'id', id,"
        " 'version', version::text) || CASE WHEN deleted THEN '{\"deleted\": true}' ELSE jsonb_build_object('data', "
        "data)"
        " END ORDER BY version)), max(version) FROM y HAVING count(*) > 0",
        sql_text(community), sql_text(epoch), sql_number((int64_t) from), sql_number((int64_t) up_to));
}

Statement sql_sync_check(const char *community)
{
    return STATEMENT("SELECT jsonb_build_object('type', 'sync.check', 'epoch', c.epoch, 'version', c.version::text,"
                     " 'tables', community_tables(c.id)), c.epoch, c.version FROM communities c WHERE c.id = $1::uuid",
                     sql_text(community));
}

Statement sql_snapshot(const char *community, uint64_t min_version)
{
    return STATEMENT("SELECT m.id, c.epoch, c.version FROM"
                     " (SELECT community_snapshot($1::uuid, $2::bigint) AS id) m,"
                     " LATERAL community_snapshot_row(m.id) c",
                     sql_text(community), sql_number((int64_t) min_version));
}

Statement sql_snapshot_begin(const char *snapshot, const char *tables)
{
    return STATEMENT(
        "SELECT jsonb_build_object('type', 'snapshot.begin', 'snapshot', s.id::text, 'community', s.community,"
        " 'epoch', s.epoch, 'version', s.version::text, 'tables', (SELECT jsonb_agg(t) FROM"
        " jsonb_array_elements(s.tables) t WHERE $2::text[] IS NULL OR t->>'table' = ANY ($2::text[]))),"
        " (SELECT count(*) FROM community_snapshot_chunks k WHERE k.snapshot = s.id"
        " AND ($2::text[] IS NULL OR k.kind = ANY ($2::text[])))"
        " FROM community_snapshots s WHERE s.id = $1::bigint",
        sql_text(snapshot), sql_text(tables));
}

Statement sql_snapshot_rows(const char *snapshot, const char *tables, uint64_t index)
{
    return STATEMENT("SELECT '{\"type\": \"snapshot.rows\", \"snapshot\": \"' || snapshot || '\", \"index\": ' ||"
                     " $3::bigint || ', \"table\": \"' || kind || '\", \"rows\": ' || rows || '}'"
                     " FROM community_snapshot_chunks WHERE snapshot = $1::bigint"
                     " AND ($2::text[] IS NULL OR kind = ANY ($2::text[])) ORDER BY position OFFSET $3::bigint LIMIT 1",
                     sql_text(snapshot), sql_text(tables), sql_number((int64_t) index));
}

Statement sql_sync_tidy(void)
{
    return (Statement) {
        .sql = "WITH s AS (DELETE FROM community_snapshots s WHERE made_at < now() - interval '6 hours'"
               " OR (made_at < now() - interval '1 hour' AND EXISTS (SELECT FROM community_snapshots n"
               " WHERE n.community = s.community AND n.id > s.id))),"
               /* those of a community that is being imported into go the next time: nobody waits for it here */
               " o AS MATERIALIZED (SELECT c.id FROM communities c WHERE EXISTS (SELECT FROM community_changes l"
               " WHERE l.community = c.id AND l.at < now() - interval '30 days') FOR NO KEY UPDATE SKIP LOCKED),"
               " l AS (DELETE FROM community_changes WHERE at < now() - interval '30 days'"
               " AND community IN (SELECT id FROM o) RETURNING community, version),"
               " f AS (SELECT community, max(version) AS version FROM l GROUP BY community)"
               " UPDATE communities c SET log_floor = greatest(c.log_floor, f.version) FROM f WHERE c.id = f.community"
    };
}

Statement sql_box_applied(const BoxReplica *p)
{
    return STATEMENT("SELECT box_applied($1, $2::uuid, $3::uuid, $4::bigint, $5::boolean)", sql_text(p->device),
                     sql_text(p->community), sql_text(p->epoch), sql_number((int64_t) p->version), sql_flag(p->has));
}

Statement sql_bans_age(const char *connected, uint64_t behind_seconds, uint64_t away_seconds)
{
    return STATEMENT(
        /* every box with the label, also one that has never asked for anything */
        "WITH b AS (SELECT d.id AS device, c.id AS community, c.epoch AS newest_epoch, c.version AS newest,"
        " d.id = ANY ($1::text[]) AS connected FROM devices d"
        " JOIN communities c ON c.id::text = lower(d.labels->>'community') WHERE NOT d.blocked),"
        " n AS (INSERT INTO box_positions(device, community, epoch, version, applied_at)"
        " SELECT b.device, b.community, b.newest_epoch, 0, NULL FROM b ON CONFLICT DO NOTHING),"
        " s AS (SELECT b.*, p.version, p.stale_since, p.current_at, p.applied_at,"
        " b.connected AND p.epoch = b.newest_epoch AND p.version = b.newest AS current,"
        " CASE WHEN b.connected THEN p.current_at < now() - make_interval(secs => $2::bigint)"
        /* not by the change log, which does not go back as far as a box may be behind */
        " AND EXISTS (SELECT FROM community_rows r WHERE r.community = b.community AND r.kind = 'bans'"
        " AND r.version > CASE WHEN p.epoch = b.newest_epoch THEN p.version ELSE 0 END"
        " AND r.changed_at < now() - make_interval(secs => $2::bigint))"
        " ELSE p.current_at < now() - make_interval(secs => $3::bigint) END AS stale"
        " FROM b JOIN box_positions p ON p.device = b.device AND p.community = b.community),"
        " u AS (UPDATE box_positions p SET current_at = CASE WHEN s.current THEN now() ELSE p.current_at END,"
        " stale_since = CASE WHEN s.stale THEN coalesce(p.stale_since, now()) END FROM s"
        " WHERE p.device = s.device AND p.community = s.community"
        " AND ((s.current AND s.current_at < now() - interval '5 min') OR s.stale IS DISTINCT FROM (s.stale_since IS "
        "NOT NULL)))"
        " INSERT INTO audit(actor, action, device, alarm, detail)"
        " SELECT 'gateway', CASE WHEN s.stale THEN 'bans.stale' ELSE 'bans.current' END, s.device, s.stale,"
        " jsonb_strip_nulls(jsonb_build_object('community', s.community, 'version', s.version::text,"
        " 'newest', s.newest::text, 'connected', s.connected,"
        " 'currentAt', CASE WHEN s.applied_at IS NOT NULL THEN secbox_time(s.current_at) END))"
        " FROM s WHERE s.stale IS DISTINCT FROM (s.stale_since IS NOT NULL)",
        sql_text(connected), sql_number((int64_t) behind_seconds), sql_number((int64_t) away_seconds));
}

/* the boxes that have the label of $1 or have had it */
#define BOXES_OF                                                                                                       \
    "(SELECT d.id AS device, lower(d.labels->>'community') IS NOT DISTINCT FROM $1::text AS serves, p.epoch,"          \
    " CASE WHEN p.applied_at IS NOT NULL THEN p.version END AS version,"                                               \
    " CASE WHEN p.applied_at IS NOT NULL THEN p.current_at END AS current_at,"                                         \
    " p.applied_at, p.stale_since FROM devices d LEFT JOIN box_positions p ON p.device = d.id"                         \
    " AND p.community = $1::uuid WHERE lower(d.labels->>'community') = $1::text OR p.applied_at IS NOT NULL)"

Statement sql_ban_status(const char *community, const char *ban)
{
    return STATEMENT(
        "SELECT jsonb_strip_nulls(jsonb_build_object('ban', jsonb_build_object('id', r.id, 'version', r.version::text,"
        " 'changedAt', secbox_time(r.changed_at), 'deleted', r.deleted, 'name', r.data->'name',"
        " 'plate', r.data->'plate', 'document', r.data->'document'),"
        " 'boxes', (SELECT coalesce(jsonb_agg(jsonb_build_object('device', x.device, 'serves', x.serves,"
        " 'knows', coalesce(b.version = r.version, false), 'since', CASE WHEN b.version = r.version"
        " THEN secbox_time(b.known_at) END, 'version', b.version::text) ORDER BY x.device), '[]'::jsonb)"
        " FROM " BOXES_OF " x LEFT JOIN box_bans b ON b.device = x.device AND b.ban = r.id)))"
        " FROM community_rows r WHERE r.kind = 'bans' AND r.id = $2::uuid AND r.community = $1::uuid",
        sql_text(community), sql_text(ban));
}

Statement sql_community_boxes(const char *community)
{
    return STATEMENT("SELECT jsonb_strip_nulls(jsonb_build_object('version', c.version::text, 'epoch', c.epoch,"
                     " 'boxes', (SELECT coalesce(jsonb_agg(jsonb_build_object('device', x.device, 'serves', x.serves,"
                     " 'version', x.version::text, 'current', x.version = c.version AND x.epoch = c.epoch,"
                     " 'appliedAt', secbox_time(x.applied_at), 'currentAt', secbox_time(x.current_at),"
                     " 'staleSince', secbox_time(x.stale_since)) ORDER BY x.device), '[]'::jsonb) FROM " BOXES_OF
                     " x)))"
                     " FROM communities c WHERE c.id = $1::uuid",
                     sql_text(community));
}

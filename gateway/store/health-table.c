/* SPDX-License-Identifier: MIT */
#include "gateway/store/health-table.h"

Statement sql_health_save(const HealthRow *row)
{
    return STATEMENT(
        /* what a crash loses of it is told again within minutes: nobody waits for the disk */
        "WITH d AS (SELECT id, floor(extract(epoch FROM now()) / 300)::bigint AS slot FROM devices WHERE id = $1"
        " AND set_config('synchronous_commit', 'off', true) IS NOT NULL),"
        " l AS (INSERT INTO device_health(device, part, at, received_at, content)"
        " SELECT id, $2, $3::timestamptz, now(), $4::jsonb FROM d"
        " ON CONFLICT (device, part) DO UPDATE SET at = excluded.at, received_at = excluded.received_at,"
        " content = excluded.content),"
        /* a fault that came and went within one slot stays in it, up to a number */
        " h AS (INSERT INTO device_health_history(device, part, slot, at, content)"
        " SELECT id, $2, slot, now(), $5::jsonb FROM d"
        " ON CONFLICT (device, part, slot) DO UPDATE SET at = excluded.at, content = excluded.content ||"
        " jsonb_build_object('faults', CASE WHEN (SELECT count(*) FROM"
        " jsonb_object_keys(coalesce(device_health_history.content->'faults', '{}'::jsonb))) > 64"
        " THEN device_health_history.content->'faults'"
        " ELSE coalesce(device_health_history.content->'faults', '{}'::jsonb) ||"
        " coalesce(excluded.content->'faults', '{}'::jsonb) END)),"
        " o AS (DELETE FROM device_health_history WHERE device = $1 AND part = $2"
        " AND slot < (SELECT slot FROM d) - 8640)"
        /* of an hour that is a day old the first slot is left */
        " DELETE FROM device_health_history t USING d WHERE t.device = $1 AND t.part = $2"
        " AND t.slot >= d.slot - 576 AND t.slot < d.slot - 288 AND EXISTS (SELECT FROM device_health_history f"
        " WHERE f.device = $1 AND f.part = $2 AND f.slot < t.slot AND f.slot >= t.slot - t.slot % 12)",
        sql_text(row->device), sql_text(row->part), sql_text(row->at), sql_text(row->values), sql_text(row->summary));
}

Statement sql_health(const char *device, uint64_t since_seconds)
{
    return STATEMENT(
        "SELECT jsonb_strip_nulls(jsonb_build_object("
        "'health', coalesce((SELECT jsonb_object_agg(part, jsonb_build_object('at', secbox_time(at),"
        " 'receivedAt', secbox_time(received_at), 'values', content)) FROM device_health WHERE device = id),"
        " '{}'::jsonb),"
        " 'history', CASE WHEN $2::bigint > 0 THEN (SELECT coalesce(jsonb_agg(row ORDER BY slot), '[]'::jsonb) FROM"
        " (SELECT slot, jsonb_build_object('at', secbox_time(max(at))) || jsonb_object_agg(part, content) AS row"
        " FROM device_health_history WHERE device = id AND slot >="
        " floor((extract(epoch FROM now()) - $2::bigint) / 300)::bigint GROUP BY slot) s) END))"
        " FROM devices WHERE id = $1",
        sql_text(device), sql_number((int64_t) since_seconds));
}

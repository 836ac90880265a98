/* SPDX-License-Identifier: MIT */
#include "secbox/replica/gate-sql.h"

/* a guest or resident with what a guard is told about them */
#define GUEST_COLUMNS                                                                                                  \
    "'guest', g.id, g.data, (SELECT count(*) FROM guest_uses AS u WHERE u.guest = g.id), "                             \
    "(SELECT n.data->>'name' FROM units AS n WHERE n.id::text = g.data->>'unit')"
#define RESIDENT_COLUMNS                                                                                               \
    "'resident', p.id, p.data, 0::bigint, (SELECT n.data->>'name' FROM units AS n WHERE n.id::text = p.data->>'unit')"
/* what was written for another community is no business of the guards of this one */
#define SERVED "(SELECT community FROM sync_state)"

Statement sql_gate_community(void)
{
    return STATEMENT("SELECT s.community, c.data, s.epoch, s.version, extract(epoch FROM s.applied_at)::bigint,"
                     " s.changes"
                     " FROM sync_state AS s LEFT JOIN communities AS c ON c.id = s.community");
}

Statement sql_gate_offset(const char *zone)
{
    return STATEMENT(
        "SELECT extract(epoch FROM (now() AT TIME ZONE z.name) - (now() AT TIME ZONE 'UTC'))::bigint, z.name"
        " FROM (SELECT coalesce((SELECT name FROM pg_timezone_names WHERE name = $1), 'UTC') AS name) AS z",
        sql_text(zone));
}

Statement sql_gate_bans(void)
{
    return STATEMENT("SELECT id, data, unconfirmed_since IS NOT NULL FROM bans ORDER BY id");
}

Statement sql_gate_guards(void)
{
    return STATEMENT("SELECT id, data->>'name', data->>'pinHash' FROM users"
                     " WHERE data->>'role' = 'guard' AND data->>'pinHash' IS NOT NULL ORDER BY data->>'name', id");
}

Statement sql_gate_candidates(const char *typed)
{
    return STATEMENT_OFTEN("SELECT * FROM gate_candidates($1)", sql_text(typed));
}

Statement sql_gate_seen(const char *plate)
{
    return STATEMENT("SELECT * FROM gate_seen($1)", sql_text(plate));
}

Statement sql_gate_person(const char *id)
{
    return STATEMENT("SELECT " GUEST_COLUMNS " FROM guests AS g WHERE g.id = $1::uuid"
                     " UNION ALL SELECT " RESIDENT_COLUMNS " FROM users AS p WHERE p.id = $1::uuid"
                     " AND p.data->>'role' = 'resident'",
                     sql_text(id));
}

Statement sql_gate_pass(const char *guest, const char *pass)
{
    return STATEMENT("SELECT " GUEST_COLUMNS ", EXISTS (SELECT FROM guest_uses AS u WHERE u.pass = $2)"
                     " FROM guests AS g WHERE g.id = $1::uuid",
                     sql_text(guest), sql_text(pass));
}

/* As texts times sort as they pass but for their offsets, which are less than a day. */
Statement sql_gate_schedule(const char *from, const char *until, int64_t limit, int64_t offset)
{
    return STATEMENT("SELECT " GUEST_COLUMNS
                     ", (SELECT string_agg(u.pass, ' ') FROM guest_uses AS u WHERE u.guest = g.id)"
                     " FROM guests AS g WHERE (g.data->>'until') COLLATE \"C\" > $1"
                     " AND (g.data->>'from') COLLATE \"C\" < $2"
                     " ORDER BY g.data->>'hours' NULLS LAST, g.norm_name, g.id LIMIT $3::bigint OFFSET $4::bigint",
                     sql_text(from), sql_text(until), sql_number(limit), sql_number(offset));
}

Statement sql_gate_units(const char *typed, int64_t limit, int64_t offset)
{
    return STATEMENT("SELECT id, data FROM units WHERE norm_name LIKE coalesce(secbox_norm_name($1), '') || '%'"
                     " ORDER BY norm_name, id LIMIT $2::bigint OFFSET $3::bigint",
                     sql_text(typed), sql_number(limit), sql_number(offset));
}

Statement sql_gate_visits(bool inside, int64_t limit, int64_t offset)
{
    return STATEMENT("SELECT id, to_char(entered_at AT TIME ZONE 'UTC', " SQL_TIME_FORMAT "),"
                     " to_char(left_at AT TIME ZONE 'UTC', " SQL_TIME_FORMAT "), data, exit"
                     " FROM visits WHERE community = " SERVED " AND (NOT $1::boolean OR left_at IS NULL)"
                     " ORDER BY entered_at DESC, id DESC LIMIT $2::bigint OFFSET $3::bigint",
                     sql_flag(inside), sql_number(limit), sql_number(offset));
}

Statement sql_gate_queued(void)
{
    return STATEMENT("SELECT coalesce(sum(events), 0) FROM queue_counts WHERE NOT dead AND community = " SERVED);
}

Statement sql_gate_notes(int64_t limit)
{
    return STATEMENT("SELECT id, to_char(at AT TIME ZONE 'UTC', " SQL_TIME_FORMAT "), data"
                     " FROM shift_notes WHERE community = " SERVED
                     " ORDER BY shift_notes.at DESC, id DESC LIMIT $1::bigint",
                     sql_number(limit));
}

/* SPDX-License-Identifier: MIT */
#include "secbox/replica/replica-sql.h"

Statement sql_replica_cursor(void)
{
    return (Statement) {
        .sql = "SELECT community, epoch, version, to_char(applied_at AT TIME ZONE 'UTC', " SQL_TIME_FORMAT "),"
               " to_char(checked_at AT TIME ZONE 'UTC', " SQL_TIME_FORMAT "), (SELECT count(*) FROM bans),"
               " (SELECT count(*) FROM bans WHERE unconfirmed_since IS NOT NULL),"
               " greatest(0, extract(epoch FROM now() - greatest(applied_at, checked_at)))::bigint,"
               " current_setting('transaction_read_only') FROM (SELECT 1) AS one LEFT JOIN sync_state ON true"
    };
}

Statement sql_replica_faces(int64_t limit)
{
    return STATEMENT("SELECT id, face FROM (SELECT 0 AS rank, id, data->>'face' AS face FROM bans WHERE data ? 'face'"
                     " UNION ALL SELECT 1, id, data->>'face' FROM users WHERE data ? 'face') AS enrolled"
                     " ORDER BY rank, id LIMIT $1::bigint",
                     sql_number(limit));
}

Statement sql_replica_unstage(void)
{
    return (Statement) { .sql = "SELECT replica_unstage()" };
}

Statement sql_replica_stage(const char *message)
{
    return STATEMENT("SELECT replica_stage($1)", sql_text(message));
}

Statement sql_replica_swap(const char *snapshot, const char *community, const char *epoch, uint64_t version,
                           const char *tables)
{
    return STATEMENT("SELECT replica_swap($1, $2, $3, $4, $5)", sql_text(snapshot), sql_text(community),
                     sql_text(epoch), sql_number((int64_t) version), sql_text(tables));
}

Statement sql_replica_deltas(const char *messages)
{
    return STATEMENT("SELECT verdict, version FROM replica_deltas($1)", sql_text(messages));
}

Statement sql_replica_sums(void)
{
    return (Statement) { .sql = "SELECT * FROM replica_sums('')" };
}

Statement sql_replica_checked(void)
{
    return (Statement) { .sql = "UPDATE sync_state SET checked_at = now()" };
}

Statement sql_replica_unconfirmed(void)
{
    return (Statement) { .sql = "SELECT id, data->>'name', data->>'plate', data->>'document', data->>'reason',"
                                " to_char(unconfirmed_since AT TIME ZONE 'UTC', " SQL_TIME_FORMAT ") FROM bans"
                                " WHERE unconfirmed_since IS NOT NULL ORDER BY unconfirmed_since, id LIMIT 1000" };
}

Statement sql_replica_release(const char *ban)
{
    return STATEMENT("DELETE FROM bans WHERE id = $1 AND unconfirmed_since IS NOT NULL RETURNING id", sql_text(ban));
}

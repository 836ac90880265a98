/* SPDX-License-Identifier: MIT */
#include "secbox/queue/queue-sql.h"

Statement sql_queue_write(const char *batch)
{
    return STATEMENT_OFTEN("SELECT queue_write($1)", sql_text(batch));
}

Statement sql_queue_next(const char *community, const int64_t after[static _QUEUE_PRIORITIES], int limit)
{
    return STATEMENT_OFTEN("SELECT seq, priority, event FROM queue_next($1, $2, $3, $4, $5)", sql_text(community),
                           sql_number(after[0]), sql_number(after[1]), sql_number(after[2]), sql_number(limit));
}

/* Nothing waits for the disk: what a power cut takes back is sent again, and the gateway has it already. */
Statement sql_queue_ack(const char *message)
{
    return STATEMENT_OFTEN("SELECT queue_ack($1), set_config('synchronous_commit', 'off', true)", sql_text(message));
}

Statement sql_queue_trim(int64_t bytes_max, int64_t ticks_max, bool passed)
{
    return STATEMENT("SELECT queue_trim($1, $2, $3)", sql_number(bytes_max), sql_number(ticks_max), sql_number(passed));
}

#define FIRST_IN_LINE(priority)                                                                                        \
    "(SELECT at FROM outbound_events WHERE community = $1 AND priority = " priority " ORDER BY seq LIMIT 1)"

/* By the counters; the oldest is one of those that are the first of their priority. */
Statement sql_queue_status(const char *community)
{
    return STATEMENT(
        "WITH n AS MATERIALIZED (SELECT * FROM queue_counts WHERE events > 0),"
        " here AS (SELECT * FROM n WHERE NOT dead AND community = $1)"
        " SELECT jsonb_strip_nulls(jsonb_build_object("
        "'waiting', (SELECT coalesce(sum(events), 0) FROM here),"
        " 'bytes', (SELECT coalesce(sum(bytes), 0) FROM here),"
        " 'oldestAt', to_char(least(" FIRST_IN_LINE("0") ", " FIRST_IN_LINE("1") ", " FIRST_IN_LINE(
            "2") ") AT TIME ZONE 'UTC', " SQL_TIME_FORMAT "),"
                 " 'held', (SELECT coalesce(sum(events), 0) FROM n WHERE NOT dead AND community IS DISTINCT FROM $1),"
                 " 'dead', (SELECT coalesce(sum(events), 0) FROM n WHERE dead),"
                 " 'byPriority', (SELECT jsonb_object_agg(CASE priority WHEN 0 THEN 'entries' WHEN 1 THEN 'matches'"
                 " ELSE 'motion' END, events) FROM here),"
                 " 'dropped', (SELECT sum(events) FROM queue_dropped)))",
        sql_text(community));
}

Statement sql_queue_recount(void)
{
    return (Statement) { .sql = "SELECT queue_recount()" };
}

Statement sql_queue_dead(void)
{
    return (Statement) { .sql = "SELECT coalesce(jsonb_agg(jsonb_strip_nulls(jsonb_build_object('clientId', client_id,"
                                " 'kind', kind, 'community', community,"
                                " 'at', to_char(at AT TIME ZONE 'UTC', " SQL_TIME_FORMAT "),"
                                " 'deadAt', to_char(dead_at AT TIME ZONE 'UTC', " SQL_TIME_FORMAT "),"
                                " 'error', error)) ORDER BY dead_at DESC), '[]')"
                                " FROM (SELECT * FROM dead_events ORDER BY dead_at DESC LIMIT 200) AS newest" };
}

Statement sql_queue_retry(const char *client_id)
{
    return STATEMENT("WITH back AS (DELETE FROM dead_events WHERE $1::uuid IS NULL OR client_id = $1 RETURNING *),"
                     " put AS (INSERT INTO outbound_events (client_id, community, kind, priority, at, data, size, tick)"
                     " SELECT client_id, community, kind, priority, at, data, size, (SELECT ticks FROM queue_clock)"
                     " FROM back ORDER BY seq ON CONFLICT DO NOTHING RETURNING 1) SELECT count(*) FROM put",
                     sql_text(client_id));
}

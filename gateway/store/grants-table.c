/* SPDX-License-Identifier: MIT */
#include "gateway/store/grants-table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/store/withdrawn.h"

/* Of a grant, the account to log in as: one from before is root's, as secbox-fleet logged in unless it was told otherwise. Of a
 * token, those that it is for, an array; null: all. */
const char schema_accounts[] =
    "ALTER TABLE grants ADD COLUMN account text NOT NULL DEFAULT 'root';\n"
    "ALTER TABLE operator_tokens ADD COLUMN accounts jsonb;\n"
    "CREATE OR REPLACE VIEW good_tokens AS SELECT hash, name, role, labels, accounts FROM operator_tokens"
    " WHERE revoked_at IS NULL UNION ALL SELECT hash, name, role, '{}'::jsonb, NULL FROM sign_ins"
    " WHERE revoked_at IS NULL AND expires_at > now();\n"
    "CREATE TABLE certificates (serial bigint PRIMARY KEY,"
    " device text NOT NULL REFERENCES devices(id) ON DELETE CASCADE,"
    " grant_id text NOT NULL, key_id text NOT NULL, token text NOT NULL, expires_at timestamptz NOT NULL);\n"
    "CREATE TABLE ssh_revocations (device text PRIMARY KEY REFERENCES devices(id) ON DELETE CASCADE,"
    " version bigint NOT NULL, ids jsonb NOT NULL);\n";

#define GRANT_JSON                                                                                                     \
    "jsonb_strip_nulls(jsonb_build_object('id', g.id, 'device', g.device, 'person', g.person,"                         \
    " 'account', g.account, 'reason', g.reason, 'createdAt', secbox_time(g.created_at), 'expiresAt', "                 \
    "secbox_time(g.expires_at),"                                                                                       \
    " 'maxSeconds', g.max_seconds, 'idleSeconds', g.idle_seconds, 'forwarding', g.forwarding,"                         \
    " 'breakGlass', g.break_glass, 'signed', CASE WHEN g.envelope IS NOT NULL THEN true END, 'revokedAt', "            \
    "secbox_time(g.revoked_at), 'revokedBy', g.revoked_by,"                                                            \
    " 'state', CASE WHEN g.revoked_at IS NOT NULL THEN 'revoked' WHEN g.expires_at <= now() THEN 'expired'"            \
    " ELSE 'open' END))"

/* what grant_row() reads, in its order */
#define GRANT_COLUMNS                                                                                                  \
    "id, device, person, reason, ceil(extract(epoch FROM expires_at - now()))::bigint,"                                \
    " floor(extract(epoch FROM expires_at))::bigint, max_seconds, idle_seconds, forwarding, break_glass,"              \
    " revoked_at IS NOT NULL"

void grant_done(Grant *g)
{
    free(g->id);
    free(g->device);
    free(g->person);
    free(g->reason);
    free(g->account);
    free(g->envelope);
    *g = (Grant) {};
}

Statement sql_grant_add(const NewGrant *g)
{
    return STATEMENT("WITH g AS (INSERT INTO grants(id, device, person, reason, expires_at, max_seconds, idle_seconds,"
                     " forwarding, break_glass, envelope, account) SELECT $1, d.id, $3, $4, now() + make_interval(secs "
                     "=> $5::integer),"
                     " $6::integer, $7::integer, $8::boolean, $9::boolean, $11, $13 FROM devices d WHERE d.id = $2"
                     " AND ($12::text IS NULL OR d.labels @> $12::jsonb) RETURNING *),"
                     " a AS (INSERT INTO audit(actor, action, device, alarm, detail)"
                     " SELECT $10, 'grant.added', g.device, g.break_glass, jsonb_build_object('grant', g.id,"
                     " 'account', g.account, 'reason', g.reason, 'expiresAt', secbox_time(g.expires_at), 'maxSeconds', "
                     "g.max_seconds,"
                     " 'idleSeconds', g.idle_seconds, 'forwarding', g.forwarding, 'breakGlass', g.break_glass) FROM g)"
                     " SELECT jsonb_build_object('grant', " GRANT_JSON ") FROM g",
                     sql_text(g->id), sql_text(g->device), sql_text(g->person), sql_text(g->reason),
                     sql_number(g->seconds), sql_number(g->max_seconds), sql_number(g->idle_seconds),
                     sql_flag(g->forwarding), sql_flag(g->break_glass), sql_text(g->actor), sql_text(g->envelope),
                     sql_text(g->labels), sql_text(g->account));
}

Statement sql_grant(const char *id)
{
    return STATEMENT("SELECT jsonb_build_object('grant', " GRANT_JSON ") FROM grants g WHERE g.id = $1", sql_text(id));
}

Statement sql_grant_revoke(const char *id, const char *actor)
{
    return STATEMENT("WITH o AS (SELECT revoked_at IS NULL AS fresh FROM grants WHERE id = $1),"
                     " g AS (UPDATE grants SET revoked_at = coalesce(revoked_at, now()),"
                     " revoked_by = coalesce(revoked_by, $2) WHERE id = $1 RETURNING *),"
                     " a AS (INSERT INTO audit(actor, action, device, detail) SELECT $2, 'grant.revoked', g.device,"
                     " jsonb_build_object('grant', g.id, 'person', g.person) FROM g, o WHERE o.fresh)"
                     " SELECT jsonb_build_object('grant', " GRANT_JSON "), " SQL_TELL_WITHDRAWN " FROM g",
                     sql_text(id), sql_text(actor));
}

Statement sql_grants(const char *device, const char *person, bool only_open, const char *labels)
{
    return STATEMENT("SELECT jsonb_build_object('grants', coalesce(jsonb_agg(" GRANT_JSON
                     " ORDER BY g.created_at DESC),"
                     " '[]'::jsonb)) FROM (SELECT * FROM grants WHERE ($1::text IS NULL OR device = $1)"
                     " AND ($2::text IS NULL OR person = $2)"
                     " AND (NOT $3::boolean OR (revoked_at IS NULL AND expires_at > now()))"
                     " AND ($4::text IS NULL OR EXISTS (SELECT FROM devices d WHERE d.id = grants.device"
                     " AND d.labels @> $4::jsonb))"
                     " ORDER BY created_at DESC LIMIT 200) g",
                     sql_text(device), sql_text(person), sql_flag(only_open), sql_text(labels));
}

Statement sql_grant_for_session(const char *id, const char *token)
{
    return STATEMENT("SELECT " GRANT_COLUMNS ", EXISTS (SELECT 1 FROM good_tokens t"
                     " WHERE t.hash = $2), NULL, NULL, envelope, account, NULL, NULL FROM grants WHERE id = $1",
                     sql_text(id), sql_text(token));
}

Statement sql_grant_for_certificate(const char *id, const char *token, const char *key, const char *recording)
{
    return STATEMENT(
        "WITH g AS (SELECT * FROM grants WHERE id = $1),"
        " t AS (SELECT name, labels, accounts FROM good_tokens WHERE hash = $2"
        " AND role ~ '^(bound:)?(admin|operator|support)$'),"
        " s AS (SELECT nextval('certificate_serials') AS serial FROM g, t, devices d WHERE g.person = t.name"
        " AND d.id = g.device AND d.labels @> t.labels AND (t.accounts IS NULL OR t.accounts ? g.account)"
        " AND NOT d.blocked AND g.revoked_at IS NULL AND g.expires_at > now()),"
        " c AS (INSERT INTO certificates(serial, device, grant_id, key_id, token, expires_at) SELECT s.serial, "
        "g.device,"
        " g.id, g.person || '/' || g.id || '/' || s.serial, $2, greatest(g.expires_at, now() + interval '70 minutes')"
        " FROM g, s),"
        " a AS (INSERT INTO audit(actor, action, device, detail) SELECT 'operator:' || g.person, 'certificate.issued',"
        " g.device, jsonb_build_object('grant', g.id, 'serial', s.serial::text, 'key', $3::text,"
        " 'account', g.account, 'forwarding', g.forwarding) || CASE WHEN $4::text IS NULL THEN '{}'::jsonb ELSE"
        " jsonb_build_object('recording', CASE WHEN g.break_glass THEN 'wanted' ELSE $4 END) END FROM g, s)"
        " SELECT " GRANT_COLUMNS ", EXISTS (SELECT 1 FROM t), s.serial, (SELECT"
        " jsonb_array_length(host_keys->'host') > 0"
        " AND jsonb_array_length(host_keys->'recovery') > 0 FROM devices d WHERE d.id = g.device), NULL, account,"
        " (SELECT coalesce(d.status->'accepts' ? 'ssh.accounts', false) FROM devices d WHERE d.id = g.device),"
        " (SELECT d.blocked FROM devices d WHERE d.id = g.device)"
        " FROM g LEFT JOIN s ON true",
        sql_text(id), sql_text(token), sql_text(key), sql_text(recording));
}

/* Those that somebody took from their person come before those whose session is over. Versions go by the clock, and up: a
 * database that was put back goes on above what boxes have had of it. */
Statement sql_revocations(void)
{
    return (Statement) {
        .sql = "WITH old AS (DELETE FROM certificates WHERE expires_at < now()),"
               " clock AS (SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint AS version),"
               " live AS (SELECT c.*, g.revoked_at IS NOT NULL OR d.blocked OR NOT EXISTS (SELECT FROM good_tokens t"
               " WHERE t.hash = c.token AND d.labels @> t.labels) AS withdrawn FROM certificates c"
               " JOIN grants g ON g.id = c.grant_id JOIN devices d ON d.id = c.device WHERE c.expires_at >= now()),"
               " ended AS (SELECT o.serial FROM live o JOIN bridge_sessions s ON s.certificate = o.serial"
               " AND s.grant_id = o.grant_id GROUP BY o.serial HAVING bool_and(s.closed_at IS NOT NULL)),"
               " bad AS (SELECT device, jsonb_agg(key_id ORDER BY serial) AS ids FROM (SELECT o.*, row_number() OVER"
               " (PARTITION BY o.device ORDER BY o.withdrawn DESC, o.serial DESC) AS n FROM live o"
               " WHERE o.withdrawn OR o.serial IN (SELECT serial FROM ended)) c WHERE n <= 400 GROUP BY device),"
               " news AS (INSERT INTO ssh_revocations AS r (device, version, ids)"
               " SELECT device, version, ids FROM bad, clock ON CONFLICT (device) DO UPDATE"
               " SET version = greatest(r.version + 1, excluded.version), ids = excluded.ids"
               " WHERE r.ids <> excluded.ids RETURNING device, version, ids),"
               " gone AS (UPDATE ssh_revocations r SET version = greatest(r.version + 1, clock.version), ids = '[]'"
               " FROM clock WHERE ids <> '[]' AND NOT EXISTS (SELECT FROM bad WHERE bad.device = r.device)"
               " RETURNING device, r.version, ids)"
               " SELECT device, version, ids::text FROM news UNION ALL SELECT device, version, ids::text FROM gone",
    };
}

Statement sql_revocations_known(void)
{
    return (Statement) { .sql = "SELECT device, version, ids::text FROM ssh_revocations" };
}

static uint64_t number(const StoreRows *rows, unsigned column)
{
    uint64_t n;
    return store_rows_u64(rows, 0, column, INT64_MAX, &n) >= 0 ? n : 0; /* negative: nothing is left */
}

int grant_row(const StoreRows *rows, Grant *ret, GrantExtra *ret_extra)
{
    *ret = (Grant) {
        .seconds_left = (int64_t) number(rows, 4),
        .expires_at = number(rows, 5),
        .max_seconds = (unsigned) number(rows, 6),
        .idle_seconds = (unsigned) number(rows, 7),
        .forwarding = store_rows_true(rows, 0, 8),
        .break_glass = store_rows_true(rows, 0, 9),
        .revoked = store_rows_true(rows, 0, 10),
    };
    *ret_extra = (GrantExtra) {
        .token_good = store_rows_true(rows, 0, 11),
        .serial = number(rows, 12),
        .host_keys_known = store_rows_true(rows, 0, 13),
        .by_account = store_rows_true(rows, 0, 16),
        .blocked = store_rows_true(rows, 0, 17),
    };
    if (store_rows_copy(rows, 0, 0, &ret->id) < 0 || store_rows_copy(rows, 0, 1, &ret->device) < 0 ||
        store_rows_copy(rows, 0, 2, &ret->person) < 0 || store_rows_copy(rows, 0, 3, &ret->reason) < 0 ||
        store_rows_copy(rows, 0, 14, &ret->envelope) < 0 || store_rows_copy(rows, 0, 15, &ret->account) < 0) {
        grant_done(ret);
        return -ENOMEM;
    }
    return 0;
}

/* A token is looked for by its hash: its person may have got a new one since. By labels those count that this person uses now. */
Statement sql_withdrawn(const char *grants, const char *tokens)
{
    return STATEMENT("WITH g AS (SELECT * FROM grants WHERE id = ANY (string_to_array($1, ','))),"
                     " t AS (SELECT t.* FROM good_tokens t WHERE t.hash = ANY (string_to_array($2, ',')))"
                     " SELECT g.id, '', '' FROM g WHERE g.revoked_at IS NOT NULL UNION ALL"
                     " SELECT '', h, '' FROM unnest(string_to_array($2, ',')) h WHERE NOT EXISTS"
                     " (SELECT FROM t WHERE t.hash = h) UNION ALL"
                     " SELECT g.id, '', 'labels' FROM g JOIN devices d ON d.id = g.device"
                     " WHERE EXISTS (SELECT FROM t WHERE t.name = g.person)"
                     " AND NOT EXISTS (SELECT FROM t WHERE t.name = g.person AND d.labels @> t.labels)",
                     sql_text(grants), sql_text(tokens));
}

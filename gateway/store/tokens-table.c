/* SPDX-License-Identifier: MIT */
#include "gateway/store/tokens-table.h"

#include "gateway/store/withdrawn.h"

/* From now on a token may be bound to labels: then its role has a name that earlier gateways refuse. */
const char schema_token_labels[] =
    "ALTER TABLE operator_tokens"
    " ADD COLUMN labels jsonb NOT NULL DEFAULT '{}',"
    " DROP CONSTRAINT operator_tokens_role_check,"
    " ADD CONSTRAINT operator_tokens_role_check CHECK (role IN ('admin', 'operator', 'viewer', 'bound:admin',"
    " 'bound:operator', 'bound:viewer'));\n";

/* A session, its certificate; a token, until when it is good, and when it was used last. A gateway of before knows no roles but its
 * three: tokens with another may nothing there. */
const char schema_access[] =
    "ALTER TABLE bridge_sessions ADD COLUMN certificate bigint;\n"
    "CREATE INDEX bridge_sessions_certificate ON bridge_sessions(certificate) WHERE certificate IS NOT NULL;\n"
    "ALTER TABLE operator_tokens ADD COLUMN expires_at timestamptz, ADD COLUMN last_used_at timestamptz,"
    " DROP CONSTRAINT operator_tokens_role_check,"
    " ADD CONSTRAINT operator_tokens_role_check"
    " CHECK (role ~ '^(bound:)?(admin|operator|deploy|support|viewer)$');\n"
    "CREATE OR REPLACE VIEW good_tokens AS SELECT hash, name, role, labels, accounts FROM operator_tokens"
    " WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())"
    " UNION ALL SELECT hash, name, role, '{}'::jsonb, NULL FROM sign_ins"
    " WHERE revoked_at IS NULL AND expires_at > now();\n";

#define USED_AGAIN "interval '10 minutes'"

Statement sql_token_used(const char *hash)
{
    return STATEMENT("UPDATE operator_tokens SET last_used_at = now() WHERE hash = $1"
                     " AND (last_used_at IS NULL OR last_used_at < now() - " USED_AGAIN ")",
                     sql_text(hash));
}

Statement sql_token_owner(const char *hash, const char *scope, const char *id)
{
    return STATEMENT("SELECT name, role, nullif(labels, '{}')::text, CASE WHEN labels = '{}' THEN true"
                     " WHEN $2::text = 'device' THEN EXISTS (SELECT FROM devices d WHERE d.id = $3::text"
                     " AND d.labels @> t.labels)"
                     " WHEN $2::text = 'grant' THEN EXISTS (SELECT FROM grants g JOIN devices d ON d.id = g.device"
                     " WHERE g.id = $3::text AND d.labels @> t.labels)"
                     " WHEN $2::text = 'rollout' THEN EXISTS (SELECT FROM rollouts r WHERE r.id = $3::text)"
                     " AND NOT EXISTS (SELECT FROM rollout_boxes b JOIN devices d ON d.id = b.device"
                     " WHERE b.rollout = $3::text AND NOT d.labels @> t.labels)"
                     " ELSE $2::text IN ('listed', 'free') END, accounts::text,"
                     " EXISTS (SELECT FROM operator_tokens o WHERE o.hash = t.hash AND (o.last_used_at IS NULL"
                     " OR o.last_used_at < now() - " USED_AGAIN "))"
                     " FROM good_tokens t WHERE hash = $1",
                     sql_text(hash), sql_text(scope), sql_text(id));
}

Statement sql_token_hashes(void)
{
    return (Statement) { .sql = "SELECT hash FROM good_tokens" };
}

Statement sql_token_add(const NewToken *t)
{
    return STATEMENT("WITH t AS (INSERT INTO operator_tokens(name, hash, role, labels, accounts, expires_at)"
                     " SELECT $1, $2, CASE WHEN $4::jsonb = '{}' AND $5::text IS NULL THEN '' ELSE 'bound:' END"
                     " || $3::text, $4::jsonb, $5::jsonb,"
                     " CASE WHEN $6::integer > 0 THEN now() + make_interval(days => $6::integer) END"
                     " ON CONFLICT (name) DO UPDATE SET hash = excluded.hash, role = excluded.role,"
                     " labels = excluded.labels, accounts = excluded.accounts, created_at = now(), revoked_at = NULL,"
                     " expires_at = excluded.expires_at, last_used_at = NULL"
                     " WHERE operator_tokens.revoked_at IS NOT NULL OR operator_tokens.expires_at <= now()"
                     " RETURNING name, expires_at),"
                     " a AS (INSERT INTO audit(actor, action, detail) SELECT 'command-line', 'token.added',"
                     " jsonb_strip_nulls(jsonb_build_object('name', name, 'role', $3::text,"
                     " 'labels', nullif($4::jsonb, '{}'), 'accounts', $5::jsonb, 'until',"
                     " secbox_time(expires_at))) FROM t) SELECT name FROM t",
                     sql_text(t->name), sql_text(t->hash), sql_text(t->role), sql_text(t->labels),
                     sql_text(t->accounts), sql_number(t->days));
}

Statement sql_tokens(void)
{
    return (Statement) {
        .sql = "SELECT name, secbox_time(created_at), secbox_time(revoked_at), regexp_replace(role, '^bound:', ''),"
               " nullif(labels, '{}')::text, accounts::text, secbox_time(expires_at), secbox_time(last_used_at),"
               " coalesce(expires_at <= now(), false) FROM operator_tokens ORDER BY name",
    };
}

Statement sql_token_revoke(const char *name)
{
    return STATEMENT("WITH t AS (UPDATE operator_tokens SET revoked_at = now() WHERE name = $1 AND revoked_at IS NULL"
                     " RETURNING name), a AS (INSERT INTO audit(actor, action, detail)"
                     " SELECT 'command-line', 'token.revoked', jsonb_build_object('name', name) FROM t) SELECT "
                     "name, " SQL_TELL_WITHDRAWN " FROM t",
                     sql_text(name));
}

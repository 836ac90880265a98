/* SPDX-License-Identifier: MIT */
#include "gateway/store/tokens-table.h"

Statement sql_token_owner(const char *hash)
{
    return STATEMENT("SELECT name, role FROM operator_tokens WHERE hash = $1 AND revoked_at IS NULL", sql_text(hash));
}

Statement sql_token_hashes(void)
{
    return (Statement) { .sql = "SELECT hash FROM operator_tokens WHERE revoked_at IS NULL" };
}

Statement sql_token_add(const char *name, const char *hash, const char *role)
{
    return STATEMENT("WITH t AS (INSERT INTO operator_tokens(name, hash, role) VALUES ($1, $2, $3)"
                     " ON CONFLICT (name) DO UPDATE SET hash = excluded.hash, role = excluded.role, created_at = "
                     "now(), revoked_at = NULL"
                     " WHERE operator_tokens.revoked_at IS NOT NULL RETURNING name),"
                     " a AS (INSERT INTO audit(actor, action, detail) SELECT 'command-line', 'token.added',"
                     " jsonb_build_object('name', name, 'role', $3::text) FROM t) SELECT name FROM t",
                     sql_text(name), sql_text(hash), sql_text(role));
}

Statement sql_tokens(void)
{
    return (Statement) {
        .sql = "SELECT name, secbox_time(created_at), secbox_time(revoked_at), role FROM operator_tokens ORDER BY name",
    };
}

Statement sql_token_revoke(const char *name)
{
    return STATEMENT(
        "WITH t AS (UPDATE operator_tokens SET revoked_at = now() WHERE name = $1 AND revoked_at IS NULL"
        " RETURNING name), a AS (INSERT INTO audit(actor, action, detail)"
        " SELECT 'command-line', 'token.revoked', jsonb_build_object('name', name) FROM t) SELECT name FROM t",
        sql_text(name));
}

/* SPDX-License-Identifier: MIT */
#include "gateway/store/tokens-table.h"

Statement sql_token_owner(const char *hash)
{
    return STATEMENT("SELECT name FROM operator_tokens WHERE hash = $1 AND revoked_at IS NULL", sql_text(hash));
}

Statement sql_token_add(const char *name, const char *hash)
{
    return STATEMENT("WITH t AS (INSERT INTO operator_tokens(name, hash) VALUES ($1, $2)"
                     " ON CONFLICT (name) DO UPDATE SET hash = excluded.hash, created_at = now(), revoked_at = NULL"
                     " WHERE operator_tokens.revoked_at IS NOT NULL RETURNING name),"
                     " a AS (INSERT INTO audit(actor, action, detail) SELECT 'command-line', 'token.added',"
                     " jsonb_build_object('name', name) FROM t) SELECT name FROM t",
                     sql_text(name), sql_text(hash));
}

Statement sql_tokens(void)
{
    return (Statement) {
        .sql = "SELECT name, secbox_time(created_at), secbox_time(revoked_at) FROM operator_tokens ORDER BY name",
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

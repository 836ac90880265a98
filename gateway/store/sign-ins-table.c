/* SPDX-License-Identifier: MIT */
#include "gateway/store/sign-ins-table.h"

#include "gateway/store/withdrawn.h"

const char schema_sign_ins[] =
    "CREATE TABLE sign_ins (hash text PRIMARY KEY, name text NOT NULL, role text NOT NULL, issuer text NOT NULL,"
    " subject text NOT NULL, proof text NOT NULL UNIQUE, created_at timestamptz NOT NULL DEFAULT now(),"
    " expires_at timestamptz NOT NULL, revoked_at timestamptz);\n"
    "CREATE VIEW good_tokens AS SELECT hash, name, role, labels FROM operator_tokens WHERE revoked_at IS NULL"
    " UNION ALL SELECT hash, name, role, '{}'::jsonb FROM sign_ins WHERE revoked_at IS NULL AND expires_at > now();\n";

Statement sql_sign_in_add(const SignInRow *row)
{
    return STATEMENT("WITH old AS (DELETE FROM sign_ins WHERE expires_at < now() - interval '30 days'),"
                     " s AS (INSERT INTO sign_ins(hash, name, role, issuer, subject, proof, expires_at)"
                     " VALUES ($1, $2, $3, $4, $5, $6, now() + $7::bigint * interval '1 hour')"
                     " ON CONFLICT (proof) DO NOTHING RETURNING name, role, issuer, subject, expires_at),"
                     " a AS (INSERT INTO audit(actor, action, detail) SELECT 'operator:' || name, 'operator.signed-in',"
                     " jsonb_build_object('role', role, 'issuer', issuer, 'subject', subject, 'until',"
                     " secbox_time(expires_at)) FROM s) SELECT secbox_time(expires_at) FROM s",
                     sql_text(row->hash), sql_text(row->name), sql_text(row->role), sql_text(row->issuer),
                     sql_text(row->subject), sql_text(row->proof), sql_number(row->hours));
}

Statement sql_sign_in_end(const char *hash)
{
    return STATEMENT("WITH s AS (UPDATE sign_ins SET revoked_at = now() WHERE hash = $1 AND revoked_at IS NULL AND"
                     " expires_at > now() RETURNING name), a AS (INSERT INTO audit(actor, action, detail)"
                     " SELECT 'operator:' || name, 'operator.signed-out', '{}' FROM s) SELECT name, " SQL_TELL_WITHDRAWN
                     " FROM s",
                     sql_text(hash));
}

Statement sql_sign_ins(void)
{
    return (Statement) {
        .sql = "SELECT name, role, secbox_time(created_at), secbox_time(expires_at), issuer, secbox_time(revoked_at)"
               " FROM sign_ins WHERE expires_at > now() ORDER BY name, created_at",
    };
}

Statement sql_sign_ins_revoke(const char *name)
{
    return STATEMENT(
        "WITH s AS (UPDATE sign_ins SET revoked_at = now() WHERE name = $1 AND revoked_at IS NULL AND"
        " expires_at > now() RETURNING name), a AS (INSERT INTO audit(actor, action, detail)"
        " SELECT 'command-line', 'operator.signed-out', jsonb_build_object('name', $1::text, 'sign-ins', count(*))"
        " FROM s HAVING count(*) > 0) SELECT name, " SQL_TELL_WITHDRAWN " FROM s",
        sql_text(name));
}

/* SPDX-License-Identifier: MIT */
#include "gateway/store/media-table.h"

#define REVOKED "recording.revoked"

const char schema_media_tokens[] = "CREATE TABLE media_tokens ("
                                   " id text PRIMARY KEY,"
                                   " device text NOT NULL REFERENCES devices(id) ON DELETE CASCADE,"
                                   " operator_hash text NOT NULL,"
                                   " ends_at timestamptz NOT NULL,"
                                   " revoked_at timestamptz);\n"
                                   "CREATE INDEX media_tokens_device ON media_tokens (device);\n";

Statement sql_media_token_add(const NewMediaToken *t)
{
    return STATEMENT("WITH t AS (INSERT INTO media_tokens(id, device, operator_hash, ends_at)"
                     " VALUES ($1, $2, $3, now() + make_interval(secs => $4::bigint)))"
                     " INSERT INTO audit(actor, action, device, detail)"
                     " VALUES ($5, 'recording.allowed', $2, $6::jsonb)",
                     sql_text(t->id), sql_text(t->device), sql_text(t->operator_hash), sql_number((int64_t) t->seconds),
                     sql_text(t->actor), sql_text(t->detail));
}

Statement sql_media_tokens_revoke(const char *device, const char *id, const char *actor)
{
    return STATEMENT("WITH t AS (UPDATE media_tokens SET revoked_at = now() WHERE device = $1"
                     " AND ($2::text IS NULL OR id = $2) AND revoked_at IS NULL AND ends_at > now() RETURNING id),"
                     " n AS (SELECT count(*) AS n FROM t),"
                     " a AS (INSERT INTO audit(actor, action, device, detail) SELECT $3, '" REVOKED "', $1,"
                     " jsonb_strip_nulls(jsonb_build_object('tokens', n.n, 'id', $2::text)) FROM n WHERE n.n > 0)"
                     " SELECT jsonb_build_object('revoked', n.n), $2::text IS NULL OR EXISTS (SELECT FROM media_tokens"
                     " WHERE device = $1 AND id = $2) FROM n",
                     sql_text(device), sql_text(id), sql_text(actor));
}

Statement sql_media_tokens_revoked(void)
{
    return (Statement) {
        .sql = "WITH o AS (DELETE FROM media_tokens WHERE ends_at <= now()),"
               " t AS (UPDATE media_tokens m SET revoked_at = now() WHERE m.revoked_at IS NULL AND m.ends_at > now()"
               " AND NOT EXISTS (SELECT 1 FROM good_tokens p WHERE p.hash = m.operator_hash)"
               " RETURNING m.device, m.id),"
               " a AS (INSERT INTO audit(actor, action, device, detail) SELECT 'gateway', '" REVOKED "',"
               " device, jsonb_build_object('tokens', count(*), 'reason', 'their operator''s token is over')"
               " FROM t GROUP BY device)"
               " SELECT device, id FROM media_tokens WHERE revoked_at IS NOT NULL AND ends_at > now()"
               " UNION SELECT device, id FROM t ORDER BY 1, 2",
    };
}

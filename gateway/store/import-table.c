/* SPDX-License-Identifier: MIT */
#include "gateway/store/import-table.h"

Statement sql_import_put(const ImportTarget *t, const char *rows)
{
    return STATEMENT("WITH old AS (DELETE FROM community_import_rows WHERE put_at < now() - interval '1 day'),"
                     " i AS (INSERT INTO community_import_rows(import, community, kind, line, id, data)"
                     " SELECT $1::uuid, $2::uuid, $3, x.line, x.id, x.data FROM jsonb_to_recordset($4::jsonb)"
                     " AS x(line bigint, id uuid, data jsonb) ON CONFLICT (import, line) DO UPDATE"
                     " SET id = excluded.id, data = excluded.data RETURNING 1)"
                     " SELECT count(*) FROM i",
                     sql_text(t->import), sql_text(t->community), sql_text(t->kind), sql_text(rows));
}

Statement sql_import_finish(const ImportTarget *t, uint64_t rows, bool replace, bool dry_run, const char *actor)
{
    return STATEMENT("SELECT * FROM community_import_all($1::uuid, $2::uuid, $3, $4::bigint, $5::boolean, $6::boolean,"
                     " $7)",
                     sql_text(t->import), sql_text(t->community), sql_text(t->kind), sql_number((int64_t) rows),
                     sql_flag(replace), sql_flag(dry_run), sql_text(actor));
}

Statement sql_import_forget(const char *import)
{
    return STATEMENT("DELETE FROM community_import_rows WHERE import = $1::uuid", sql_text(import));
}

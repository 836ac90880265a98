/* SPDX-License-Identifier: MIT */
#include "gateway/store/communities-table.h"

/* The hash of a PIN never leaves the database for a person. */
#define ROW_JSON(data, id, version)                                                                                    \
    "((" data " - 'pinHash') || jsonb_strip_nulls(jsonb_build_object('id', " id ", 'version', " version                \
    "::text, 'hasPin', CASE WHEN " data " ? 'pinHash' THEN true END)))"

#define SEARCHED                                                                                                       \
    "concat_ws(' ', r.data->>'name', r.data->>'plate', r.data->>'document', r.data->>'phone', r.data->>'code',"        \
    " r.data->>'number', r.data->>'street')"

Statement sql_row_change(const RowChange *c)
{
    return STATEMENT("SELECT w.outcome, w.detail, w.epoch, w.version, w.row_version,"
                     " " ROW_JSON("w.data", "$2::uuid", "w.row_version") " FROM community_write($1, $2::uuid, $3::uuid,"
                                                                         " $4::jsonb, $5, $6::boolean, $7) w",
                     sql_text(c->kind), sql_text(c->id), sql_text(c->community), sql_text(c->data), sql_text(c->match),
                     sql_flag(c->keep_pin), sql_text(c->actor));
}

RowChangeResult row_changed(const StoreRows *rows)
{
    return (RowChangeResult) {
        .outcome = store_rows_get(rows, 0, 0),
        .detail = store_rows_get(rows, 0, 1),
        .epoch = store_rows_get(rows, 0, 2),
        .version = store_rows_get(rows, 0, 3),
        .row_version = store_rows_get(rows, 0, 4),
        .json = store_rows_get(rows, 0, 5),
    };
}

Statement sql_row(const char *kind, const char *id, const char *community)
{
    return STATEMENT(
        "SELECT " ROW_JSON(
            "r.data", "r.id",
            "r.version") ", r.version FROM community_rows r"
                         " WHERE r.kind = $1 AND r.id = $2::uuid AND r.community = $3::uuid AND NOT r.deleted",
        sql_text(kind), sql_text(id), sql_text(community));
}

Statement sql_rows(const RowFilter *f)
{
    return STATEMENT(
        "WITH p AS (SELECT r.id, " ROW_JSON(
            "r.data", "r.id",
            "r.version") " AS row FROM community_rows r"
                         " WHERE r.kind = $1 AND NOT r.deleted AND ($2::uuid IS NULL OR r.community = $2::uuid)"
                         " AND ($3::uuid IS NULL OR r.id > $3::uuid)"
                         " AND ($4::text IS NULL OR strpos(lower(" SEARCHED "), lower($4::text)) > 0)"
                         " AND ($5::jsonb IS NULL OR r.data @> $5::jsonb)"
                         " ORDER BY r.id LIMIT $6::bigint)"
                         " SELECT jsonb_strip_nulls(jsonb_build_object('rows', coalesce(jsonb_agg(p.row ORDER BY p.id),"
                         " '[]'::jsonb), 'next', CASE WHEN count(*) = $6::bigint THEN (max(p.id::text)) END)),"
                         " EXISTS (SELECT FROM community_rows r WHERE r.kind = 'communities' AND r.id = $2::uuid"
                         " AND NOT r.deleted) FROM p",
        sql_text(f->kind), sql_text(f->community), sql_text(f->after), sql_text(f->like), sql_text(f->members),
        sql_number((int64_t) f->limit));
}

/* SPDX-License-Identifier: MIT */
#include "gateway/store/trust-roots-table.h"

const char schema_trust_roots[] = "CREATE TABLE trust_roots ("
                                  " sha256 text PRIMARY KEY,"
                                  " version bigint NOT NULL,"
                                  " envelope text NOT NULL,"
                                  " sent_at timestamptz NOT NULL DEFAULT now(),"
                                  " sent_by text NOT NULL);\n"
                                  "CREATE TABLE trust_root_boxes ("
                                  " root text NOT NULL REFERENCES trust_roots(sha256) ON DELETE CASCADE,"
                                  " device text NOT NULL REFERENCES devices(id) ON DELETE CASCADE,"
                                  " state text NOT NULL DEFAULT 'waiting'"
                                  " CHECK (state IN ('waiting', 'taken', 'refused')),"
                                  " error jsonb,"
                                  " at timestamptz NOT NULL DEFAULT now(),"
                                  " PRIMARY KEY (root, device));\n"
                                  "CREATE INDEX trust_root_boxes_device ON trust_root_boxes(device);\n"
                                  "CREATE INDEX trust_root_boxes_waiting ON trust_root_boxes(root)"
                                  " WHERE state = 'waiting';\n"
                                  /* what operators have signed, as it is carried to boxes */
                                  "ALTER TABLE grants ADD COLUMN envelope text;\n";

#define ROOT_JSON                                                                                                      \
    "jsonb_build_object('version', t.version::text, 'sha256', t.sha256, 'sentAt', secbox_time(t.sent_at), 'sentBy',"   \
    " t.sent_by)"

#define IS_AMONG(boxes) "(" boxes " IS NULL OR d.id = ANY (ARRAY(SELECT jsonb_array_elements_text(" boxes "))))"

Statement sql_trust_root_send(const NewTrustRoot *n)
{
    return STATEMENT(
        "WITH d AS (SELECT d.id FROM devices d WHERE " IS_AMONG("$4::jsonb") " AND " IS_AMONG(
            "$5::jsonb") " AND d.labels @> $6::jsonb),"
                         " t AS (INSERT INTO trust_roots(sha256, version, envelope, sent_by) SELECT $1, $2::bigint, "
                         "$3, $7"
                         " WHERE EXISTS (SELECT 1 FROM d) ON CONFLICT (sha256) DO UPDATE SET envelope = "
                         "excluded.envelope,"
                         " sent_at = now(), sent_by = excluded.sent_by RETURNING *),"
                         " b AS (INSERT INTO trust_root_boxes(root, device) SELECT t.sha256, d.id FROM t, d"
                         " ON CONFLICT (root, device) DO UPDATE SET state = 'waiting', error = NULL, at = now() "
                         "RETURNING device),"
                         " a AS (INSERT INTO audit(actor, action, detail) SELECT $7, 'trust.root-sent', " ROOT_JSON
                         " || jsonb_build_object('boxes', (SELECT count(*) FROM b)) FROM t)"
                         " SELECT jsonb_build_object('root', " ROOT_JSON
                         ", 'boxes', (SELECT jsonb_agg(device ORDER BY device) FROM b))"
                         " FROM t",
        sql_text(n->sha256), sql_number((int64_t) n->version), sql_text(n->envelope), sql_text(n->named),
        sql_text(n->chosen), sql_text(n->labels), sql_text(n->actor));
}

Statement sql_trust_roots_waiting(void)
{
    return (Statement) { .sql = "SELECT t.sha256, t.version, CASE WHEN row_number() OVER (PARTITION BY t.sha256"
                                " ORDER BY b.device) = 1 THEN t.envelope END, b.device FROM trust_root_boxes b"
                                " JOIN trust_roots t ON t.sha256 = b.root WHERE b.state = 'waiting'"
                                " ORDER BY t.version, t.sent_at, t.sha256, b.device" };
}

Statement sql_trust_root_answered(const char *sha256, const char *device, const char *error)
{
    return STATEMENT(
        "WITH b AS (UPDATE trust_root_boxes SET state = CASE WHEN $3::jsonb IS NULL THEN 'taken' ELSE 'refused' END,"
        " error = $3::jsonb, at = now() WHERE root = $1 AND device = $2 AND state = 'waiting' RETURNING *)"
        " INSERT INTO audit(actor, action, device, alarm, detail) SELECT 'device:' || b.device, 'trust.root-' ||"
        " b.state, b.device, b.state = 'refused', jsonb_strip_nulls(jsonb_build_object('version', t.version::text,"
        " 'sha256', t.sha256, 'error', b.error)) FROM b JOIN trust_roots t ON t.sha256 = b.root",
        sql_text(sha256), sql_text(device), sql_text(error));
}

Statement sql_trust_roots(void)
{
    return (Statement) { .sql = "SELECT jsonb_build_object('roots', coalesce(jsonb_agg(" ROOT_JSON
                                " || jsonb_build_object('boxes', (SELECT coalesce(jsonb_agg(jsonb_strip_nulls("
                                "jsonb_build_object('device', b.device, 'state', b.state, 'error', b.error, 'at',"
                                " secbox_time(b.at))) ORDER BY b.device), '[]'::jsonb) FROM trust_root_boxes b"
                                " WHERE b.root = t.sha256)) ORDER BY t.sent_at DESC, t.version DESC), '[]'::jsonb))"
                                " FROM (SELECT * FROM trust_roots ORDER BY sent_at DESC, version DESC LIMIT 20) t" };
}

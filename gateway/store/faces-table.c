/* SPDX-License-Identifier: MIT */
#include "gateway/store/faces-table.h"

#include "lib/base/limits.h"

#define BASE64(bytes) "replace(encode(" bytes ", 'base64'), E'\\n', '')"

/* Whoever changes the row does not have to know its face, as with PINs: it is put back into what they write. The row's end is that
 * of its picture. */
const char schema_faces[] =
    "CREATE TABLE community_faces ("
    " kind text NOT NULL CHECK (kind IN ('users', 'bans')),"
    " id uuid NOT NULL,"
    " community uuid NOT NULL REFERENCES communities(id),"
    " sha256 text NOT NULL,"
    " jpeg bytea NOT NULL,"
    " set_at timestamptz NOT NULL DEFAULT now(),"
    " set_by text NOT NULL,"
    " PRIMARY KEY (kind, id));\n"
    "CREATE INDEX community_faces_sha256 ON community_faces(community, sha256);\n"
    "CREATE FUNCTION face_member(p_kind text, p_id uuid) RETURNS jsonb LANGUAGE sql STABLE AS $fn$"
    " SELECT coalesce((SELECT jsonb_build_object('face', f.sha256) FROM community_faces f"
    " WHERE f.kind = p_kind AND f.id = p_id), '{}') $fn$;\n"
    "CREATE FUNCTION face_forget() RETURNS trigger LANGUAGE plpgsql AS $fn$\n"
    "BEGIN\n"
    " DELETE FROM community_faces f WHERE f.kind = NEW.kind AND f.id = NEW.id;\n"
    " RETURN NULL;\n"
    "END $fn$;\n"
    "CREATE TRIGGER community_rows_face AFTER UPDATE ON community_rows FOR EACH ROW"
    " WHEN (NEW.deleted AND NOT OLD.deleted) EXECUTE FUNCTION face_forget();\n"
    "DO $do$ BEGIN"
    " EXECUTE replace(pg_get_functiondef('community_write'::regproc), 'IF live AND was.data = p_data THEN',"
    " 'p_data := p_data || face_member(p_kind, p_id); IF live AND was.data = p_data THEN');"
    " EXECUTE replace(pg_get_functiondef('community_import'::regproc), 'ELSE ''{}'' END AS data, r.data AS was',"
    " 'ELSE ''{}'' END || face_member(p_kind, i.id) AS data, r.data AS was');"
    " END $do$;\n"
    /* p_sha256 NULL: it is taken away. The lock is that of community_write(). */
    "CREATE FUNCTION community_face_set(p_kind text, p_id uuid, p_community uuid, p_sha256 text, p_jpeg text,"
    " p_actor text, OUT outcome text, OUT epoch text, OUT version bigint) LANGUAGE plpgsql SET lock_timeout = '1s' AS"
    " $fn$\n"
    "#variable_conflict use_column\n"
    "DECLARE was jsonb; done record;\n"
    "BEGIN\n"
    " PERFORM FROM communities c WHERE c.id = p_community FOR NO KEY UPDATE;\n"
    " SELECT r.data INTO was FROM community_rows r WHERE r.kind = p_kind AND r.id = p_id"
    " AND r.community = p_community AND NOT r.deleted;\n"
    " IF was IS NULL THEN outcome := 'absent'; RETURN; END IF;\n"
    " DELETE FROM community_faces f WHERE f.kind = p_kind AND f.id = p_id;\n"
    " IF p_sha256 IS NOT NULL THEN\n"
    "  INSERT INTO community_faces(kind, id, community, sha256, jpeg, set_by)"
    " VALUES (p_kind, p_id, p_community, p_sha256, decode(p_jpeg, 'base64'), p_actor);\n"
    " END IF;\n"
    " SELECT * INTO done FROM community_write(p_kind, p_id, p_community, was - 'face', 'any', false, p_actor);\n"
    " outcome := done.outcome; epoch := done.epoch; version := done.version;\n"
    " INSERT INTO audit(actor, action, detail) VALUES (p_actor,"
    " CASE WHEN p_sha256 IS NULL THEN 'community.face-removed' ELSE 'community.face-set' END,"
    " jsonb_strip_nulls(jsonb_build_object('community', p_community, 'table', p_kind, 'id', p_id,"
    " 'sha256', p_sha256)));\n"
    "END $fn$;\n";

Statement sql_face_set(const FaceChange *c)
{
    return STATEMENT("SELECT s.outcome, s.epoch, s.version"
                     " FROM community_face_set($1, $2::uuid, $3::uuid, $4, $5, $6) s",
                     sql_text(c->kind), sql_text(c->id), sql_text(c->community), sql_text(c->sha256), sql_text(c->jpeg),
                     sql_text(c->actor));
}

Statement sql_face(const char *kind, const char *id, const char *community)
{
    return STATEMENT("SELECT " BASE64("f.jpeg") " FROM community_faces f"
                                                " WHERE f.kind = $1 AND f.id = $2::uuid AND f.community = $3::uuid",
                     sql_text(kind), sql_text(id), sql_text(community));
}

Statement sql_face_part(const char *device, const char *community, const char *sha256, uint64_t offset)
{
    return STATEMENT(
        "SELECT length(f.jpeg), " BASE64(
            "substring(f.jpeg FROM ($4::bigint + 1)::int FOR $5::int)") " FROM community_faces f, devices d"
                                                                        " WHERE d.id = $1 AND lower("
                                                                        "d.labels->>'community') ="
                                                                        " f.community::text"
                                                                        " AND f.community = $2::uuid AND"
                                                                        " f.sha256 = $3 LIMIT 1",
        sql_text(device), sql_text(community), sql_text(sha256), sql_number((int64_t) offset),
        sql_number(FACE_PART_SIZE));
}

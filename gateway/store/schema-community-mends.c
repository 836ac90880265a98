/* SPDX-License-Identifier: MIT */
/* Later forms of what the steps before have made: locks that let others work, imports that have to be whole, and boxes that have
 * never had any data. */
#include "gateway/store/schema-communities.h"

const char schema_community_mends[] =
    "CREATE OR REPLACE FUNCTION community_needed_by(p_kind text, p_id uuid) RETURNS text LANGUAGE sql STABLE AS $fn$"
    " SELECT CASE p_kind"
    " WHEN 'units' THEN (SELECT 'one of the ' || r.kind FROM community_rows r"
    " WHERE r.data->>'unit' = p_id::text AND NOT r.deleted AND r.data ? 'unit' LIMIT 1)"
    " WHEN 'users' THEN (SELECT 'one of the ' || r.kind FROM community_rows r"
    " WHERE r.data->>'host' = p_id::text AND NOT r.deleted AND r.data ? 'host' LIMIT 1)"
    " WHEN 'communities' THEN coalesce((SELECT 'one of its ' || r.kind FROM community_rows r WHERE r.community = p_id"
    " AND r.kind <> 'communities' AND NOT r.deleted LIMIT 1),"
    " (SELECT 'the label of box ' || d.id FROM devices d WHERE lower(d.labels->>'community') = p_id::text LIMIT 1)) END"
    " $fn$;\n"
    /* FOR UPDATE would hold up every event of the community's boxes, whose foreign key locks its row, too. An import that is only
     * tried locks nothing, and a change waits a moment for an import, not until its end: others wait behind it. */
    "DO $do$ BEGIN"
    " EXECUTE replace(pg_get_functiondef('community_write'::regproc), 'FOR UPDATE', 'FOR NO KEY UPDATE');"
    " EXECUTE replace(pg_get_functiondef('pass_key_keep'::regproc), 'FOR UPDATE', 'FOR NO KEY UPDATE');"
    " ALTER FUNCTION community_write SET lock_timeout = '1s';"
    " ALTER FUNCTION pass_key_keep SET lock_timeout = '1s';"
    " EXECUTE replace(pg_get_functiondef('community_import'::regproc),"
    " 'SELECT * INTO head FROM communities c WHERE c.id = p_community FOR UPDATE;',"
    " 'SELECT * INTO head FROM communities c WHERE c.id = p_community; IF NOT p_dry THEN"
    " SELECT * INTO head FROM communities c WHERE c.id = p_community FOR NO KEY UPDATE; END IF;');"
    " END $do$;\n"
    /* What was put aside may be gone, in part or all of it: nothing is taken over then. The lock keeps it until the end. */
    "CREATE FUNCTION community_import_all(p_import uuid, p_community uuid, p_kind text, p_rows bigint,"
    " p_replace boolean, p_dry boolean, p_actor text,"
    " OUT outcome text, OUT epoch text, OUT version bigint, OUT report jsonb) LANGUAGE plpgsql AS $fn$\n"
    "DECLARE n bigint;\n"
    "BEGIN\n"
    " SELECT count(*) INTO n FROM (SELECT FROM community_import_rows i WHERE i.import = p_import"
    " AND i.community = p_community AND i.kind = p_kind FOR SHARE) x;\n"
    " IF n <> p_rows THEN outcome := 'incomplete'; RETURN; END IF;\n"
    " SELECT * INTO outcome, epoch, version, report"
    " FROM community_import(p_import, p_community, p_kind, p_replace, p_dry, p_actor);\n"
    "END $fn$;\n"
    /* applied_at NULL: it has never had any of it, and current_at is since when it should */
    "ALTER TABLE box_positions ALTER COLUMN applied_at DROP NOT NULL;\n"
    "ALTER TABLE communities ADD COLUMN epoch_renewed_at timestamptz;\n";

/* Who waits for the lock behind the first pass would not see its key before. */
const char schema_pass_key_row[] =
    "DO $do$ BEGIN"
    " EXECUTE replace(pg_get_functiondef('community_write'::regproc), 'IF live AND was.data = p_data THEN',"
    " 'p_data := p_data || pass_key_member(p_kind, p_community); IF live AND was.data = p_data THEN');"
    " END $do$;\n";

/* SPDX-License-Identifier: MIT */
/* Every change of the replica is one function of the database, and therefore one transaction: readers see all of it or
 * nothing, and the cursor moves together with the rows. Rows travel as the message's own JSON. There are no foreign keys:
 * a reference that leads nowhere must not keep a ban from being known. */
#include "secbox/replica/schema.h"

#include "secbox/queue/queue-schema.h"

#define QUERIES_MAX 64
#define STATEMENT_MAX (2 * USEC_PER_MINUTE)

static const char sql_encoding[] =
    "DO $check$ BEGIN\n"
    " IF current_setting('server_encoding') <> 'UTF8' THEN\n"
    "  RAISE EXCEPTION 'the database has the encoding %, and has to have UTF8', current_setting('server_encoding')\n"
    "   USING ERRCODE = 'invalid_parameter_value';\n"
    " END IF;\n"
    "END $check$;\n";

/* Names and plates as secbox/lan/match.h makes them (tests/cases/match.json holds both to it): Latin letters without
 * accents, upper case, and digits; in plates what looks alike is one. Under collation "C": every box folds alike.
 * What Spanish is written with has a quick way. Of what stands between words a single space is no match: it stays as it is, and
 * most names have nothing else. */
static const char sql_folding[] =
    "CREATE OR REPLACE FUNCTION secbox_unaccented(t text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $fn$\n"
    " SELECT translate(replace(replace(replace(replace(replace(replace(replace(replace(replace(\n"
    "  regexp_replace(normalize(regexp_replace(t, '[^\\u0001-\\u017f\\u0300-\\u036f]', ' ', 'g'), NFD),\n"
    "   '[\\u0300-\\u036f]', '', 'g'),\n"
    "  'ß', 'SS'), 'æ', 'AE'), 'Æ', 'AE'), 'œ', 'OE'), 'Œ', 'OE'), 'þ', 'TH'), 'Þ', 'TH'), 'ĳ', 'IJ'), 'Ĳ', 'IJ'),\n"
    "  'øØłŁđĐðÐıħĦŧŦŋŊĸŀĿŉſ', 'OOLLDDDDIHHTTNNKLLNS') $fn$;\n"
    "CREATE OR REPLACE FUNCTION secbox_fold(t text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $fn$\n"
    " SELECT upper(CASE WHEN octet_length(t) = length(t) THEN t\n"
    "  WHEN octet_length(translate(t, 'áéíóúñüÁÉÍÓÚÑÜ', 'aeiounuAEIOUNU')) = length(t)\n"
    "  THEN translate(t, 'áéíóúñüÁÉÍÓÚÑÜ', 'aeiounuAEIOUNU')\n"
    "  ELSE secbox_unaccented(t) END COLLATE \"C\") $fn$;\n"
    "CREATE OR REPLACE FUNCTION secbox_norm_name(t text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $fn$\n"
    " SELECT nullif(btrim(regexp_replace(secbox_fold(t), '[^A-Z0-9 ][^A-Z0-9]*| [^A-Z0-9]+', ' ', 'g')), '') $fn$;\n"
    "CREATE OR REPLACE FUNCTION secbox_norm_plate(t text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $fn$\n"
    " SELECT nullif(translate(regexp_replace(secbox_fold(t), '[^A-Z0-9]+', '', 'g'), 'OIBSZ', '01852'), '') $fn$;\n";

/* A row without a member that it must have is refused by its table's check. A ban keeps the epoch that it came with: one
 * that later history does not mention stays, unconfirmed. */
static const char sql_rows[] =
    "CREATE TABLE communities (id uuid PRIMARY KEY, version bigint NOT NULL, data jsonb NOT NULL,\n"
    " CHECK (data->>'name' IS NOT NULL));\n"
    "CREATE TABLE units (id uuid PRIMARY KEY, version bigint NOT NULL, data jsonb NOT NULL,\n"
    " norm_name text GENERATED ALWAYS AS (secbox_norm_name(data->>'name')) STORED,\n"
    " CHECK (data->>'community' IS NOT NULL AND data->>'name' IS NOT NULL));\n"
    "CREATE INDEX units_name ON units(norm_name text_pattern_ops);\n"
    "CREATE TABLE users (id uuid PRIMARY KEY, version bigint NOT NULL, data jsonb NOT NULL,\n"
    " norm_name text GENERATED ALWAYS AS (secbox_norm_name(data->>'name')) STORED,\n"
    " CHECK (data->>'community' IS NOT NULL AND data->>'name' IS NOT NULL AND data->>'role' IS NOT NULL));\n"
    "CREATE INDEX users_name ON users(norm_name text_pattern_ops);\n"
    "CREATE TABLE guests (id uuid PRIMARY KEY, version bigint NOT NULL, data jsonb NOT NULL,\n"
    " norm_name text GENERATED ALWAYS AS (secbox_norm_name(data->>'name')) STORED,\n"
    " norm_plate text GENERATED ALWAYS AS (secbox_norm_plate(data->>'plate')) STORED,\n"
    " code text GENERATED ALWAYS AS (data->>'code') STORED,\n"
    " CHECK (data->>'community' IS NOT NULL AND data->>'unit' IS NOT NULL AND data->>'name' IS NOT NULL\n"
    "  AND data->>'from' IS NOT NULL AND data->>'until' IS NOT NULL));\n"
    "CREATE INDEX guests_name ON guests(norm_name text_pattern_ops);\n"
    "CREATE INDEX guests_plate ON guests(norm_plate text_pattern_ops) WHERE norm_plate IS NOT NULL;\n"
    "CREATE INDEX guests_code ON guests(code) WHERE code IS NOT NULL;\n"
    "CREATE TABLE bans (id uuid PRIMARY KEY, version bigint NOT NULL, data jsonb NOT NULL,\n"
    " norm_name text GENERATED ALWAYS AS (secbox_norm_name(data->>'name')) STORED,\n"
    " norm_plate text GENERATED ALWAYS AS (secbox_norm_plate(data->>'plate')) STORED,\n"
    " norm_document text GENERATED ALWAYS AS (secbox_norm_plate(data->>'document')) STORED,\n"
    " epoch uuid NOT NULL, unconfirmed_since timestamptz,\n"
    " CHECK (data->>'community' IS NOT NULL AND data->>'reason' IS NOT NULL\n"
    "  AND coalesce(data->>'name', data->>'plate', data->>'document') IS NOT NULL));\n"
    "CREATE INDEX bans_name ON bans(norm_name text_pattern_ops) WHERE norm_name IS NOT NULL;\n"
    "CREATE INDEX bans_plate ON bans(norm_plate text_pattern_ops) WHERE norm_plate IS NOT NULL;\n"
    "CREATE INDEX bans_document ON bans(norm_document) WHERE norm_document IS NOT NULL;\n";

/* Staging survives neither a crash of the server nor a restart of secbox: a snapshot begins anew then. */
static const char sql_state[] =
    "CREATE TABLE sync_state (only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),\n"
    " community uuid NOT NULL, epoch uuid NOT NULL, version bigint NOT NULL, snapshot text, snapshot_at timestamptz,\n"
    " applied_at timestamptz NOT NULL DEFAULT now(), checked_at timestamptz);\n"
    "CREATE TABLE tombstones (of_table text NOT NULL, id uuid NOT NULL, version bigint NOT NULL,\n"
    " PRIMARY KEY (of_table, id));\n"
    "CREATE UNLOGGED TABLE stage_communities (id uuid NOT NULL, version bigint NOT NULL, data jsonb NOT NULL);\n"
    "CREATE UNLOGGED TABLE stage_units (LIKE stage_communities INCLUDING ALL);\n"
    "CREATE UNLOGGED TABLE stage_users (LIKE stage_communities INCLUDING ALL);\n"
    "CREATE UNLOGGED TABLE stage_guests (LIKE stage_communities INCLUDING ALL);\n"
    "CREATE UNLOGGED TABLE stage_bans (LIKE stage_communities INCLUDING ALL);\n";

/* docs/wire-format.md: the sum of the first 8 bytes of each row's md5, modulo 2^64. The casts are immutable, as
 * `id || ' '` is not: so the planner puts the function's body into the statement. */
static const char sql_checksum[] =
    "CREATE OR REPLACE FUNCTION secbox_row_hash(id uuid, version bigint, data jsonb) RETURNS bigint LANGUAGE sql "
    "IMMUTABLE\n"
    " PARALLEL SAFE AS $fn$\n"
    " SELECT ('x' || left(md5(id::text || ' ' || version::text || ' ' || data::text), 16))::bit(64)::bigint $fn$;\n"
    "CREATE OR REPLACE FUNCTION secbox_hex(total numeric) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $fn$\n"
    " SELECT lpad(to_hex(div(n, 4294967296)::bigint), 8, '0') || lpad(to_hex(mod(n, 4294967296)::bigint), 8, '0')\n"
    " FROM (SELECT mod(mod(coalesce(total, 0), 18446744073709551616) + 18446744073709551616, 18446744073709551616)\n"
    "  AS n) AS unsigned $fn$;\n"
    "CREATE OR REPLACE FUNCTION replica_sums(prefix text, OUT \"table\" text, OUT count bigint, OUT checksum text)\n"
    " RETURNS SETOF record LANGUAGE plpgsql STABLE AS $fn$\n"
    "BEGIN\n"
    " FOREACH \"table\" IN ARRAY ARRAY['communities', 'units', 'users', 'guests', 'bans'] LOOP\n"
    "  EXECUTE format('SELECT count(*), secbox_hex(sum(secbox_row_hash(id, version, data))) FROM %I%s',\n"
    "   prefix || \"table\",\n"
    "   CASE WHEN prefix || \"table\" = 'bans' THEN ' WHERE unconfirmed_since IS NULL' ELSE '' END) INTO count, "
    "checksum;\n"
    "  RETURN NEXT;\n"
    " END LOOP;\n"
    "END $fn$;\n";

static const char sql_staging[] =
    "CREATE FUNCTION replica_unstage() RETURNS void LANGUAGE sql AS $fn$\n"
    " TRUNCATE stage_communities, stage_units, stage_users, stage_guests, stage_bans $fn$;\n"
    "CREATE FUNCTION replica_stage(m jsonb) RETURNS void LANGUAGE plpgsql AS $fn$\n"
    "BEGIN\n"
    " EXECUTE format('INSERT INTO %I SELECT id, version, data FROM jsonb_to_recordset($1)'\n"
    "  ' AS x(id uuid, version bigint, data jsonb)', 'stage_' || (m->>'table')) USING m->'rows';\n"
    "END $fn$;\n";

/* Replaced by sql_keep_bans. */
static const char sql_swap_bans[] =
    "CREATE FUNCTION replica_swap_bans(now_epoch uuid) RETURNS void LANGUAGE sql AS $fn$\n"
    " DELETE FROM bans AS live WHERE live.epoch = now_epoch\n"
    "  AND NOT EXISTS (SELECT FROM stage_bans AS s WHERE s.id = live.id);\n"
    " UPDATE bans AS live SET unconfirmed_since = now() WHERE live.epoch <> now_epoch\n"
    "  AND live.unconfirmed_since IS NULL AND NOT EXISTS (SELECT FROM stage_bans AS s WHERE s.id = live.id);\n"
    " INSERT INTO bans AS live (id, version, data, epoch) SELECT id, version, data, now_epoch FROM stage_bans\n"
    "  ON CONFLICT (id) DO UPDATE SET version = excluded.version, data = excluded.data, epoch = excluded.epoch,\n"
    "   unconfirmed_since = NULL\n"
    "  WHERE live.version <> excluded.version OR live.data <> excluded.data OR live.epoch <> excluded.epoch\n"
    "   OR live.unconfirmed_since IS NOT NULL $fn$;\n";

/* The first rows of an empty table. Its indexes are made when all rows are there, which costs a third of what it costs to put
 * each row into each. That needs the table for itself: where somebody reads it just now, it goes without. */
static const char sql_fill[] =
    "CREATE OR REPLACE FUNCTION replica_fill(name text) RETURNS void LANGUAGE plpgsql AS $fn$\n"
    "DECLARE indexes regclass[]; makers text[]; maker text; one regclass; many boolean;\n"
    "BEGIN\n"
    " EXECUTE format('SELECT count(*) >= 1000 FROM %I', 'stage_' || name) INTO many;\n"
    " IF many THEN\n"
    "  BEGIN\n"
    "   EXECUTE format('LOCK TABLE %I IN ACCESS EXCLUSIVE MODE NOWAIT', name);\n"
    "   SELECT array_agg(indexrelid::regclass), array_agg(pg_get_indexdef(indexrelid)) INTO indexes, makers\n"
    "    FROM pg_index WHERE indrelid = name::regclass AND NOT indisprimary;\n"
    "  EXCEPTION WHEN lock_not_available THEN NULL;\n"
    "  END;\n"
    " END IF;\n"
    " FOREACH one IN ARRAY coalesce(indexes, '{}') LOOP EXECUTE format('DROP INDEX %s', one); END LOOP;\n"
    " EXECUTE format('INSERT INTO %1$I (id, version, data) SELECT id, version, data FROM %2$I', name, 'stage_' || "
    "name);\n"
    " FOREACH maker IN ARRAY coalesce(makers, '{}') LOOP EXECUTE maker; END LOOP;\n"
    "END $fn$;\n";

/* The whole of a snapshot, or some of its tables, in place of what is there. A table that is fetched alone may be newer
 * than the cursor, which then stays: the changes that lead there come again, and find newer rows. Updated first, inserted
 * then: ON CONFLICT would make the generated columns of each row before it finds that nothing has changed. */
static const char sql_swap[] =
    "CREATE OR REPLACE FUNCTION replica_swap(snapshot text, community uuid, epoch uuid, version bigint, tables jsonb)\n"
    " RETURNS text LANGUAGE plpgsql AS $fn$\n"
    "#variable_conflict use_column\n"
    "DECLARE st sync_state; t record; whole boolean := jsonb_array_length(tables) = 5; bare boolean;\n"
    "BEGIN\n"
    " SELECT * INTO st FROM sync_state FOR UPDATE;\n"
    " IF NOT whole AND (st.epoch IS DISTINCT FROM $3 OR st.community IS DISTINCT FROM $2) THEN RETURN 'epoch'; END "
    "IF;\n"
    " IF st.epoch = $3 AND st.community = $2 AND st.version > $4 THEN RETURN 'old'; END IF;\n"
    " FOR t IN SELECT w.\"table\", w.count <> s.count AS miscounted, lower(w.checksum) <> s.checksum AS damaged\n"
    "  FROM jsonb_to_recordset(tables) AS w(\"table\" text, count bigint, checksum text)\n"
    "  LEFT JOIN replica_sums('stage_') AS s USING (\"table\")\n"
    " LOOP\n"
    "  IF t.miscounted IS NOT FALSE THEN RETURN 'count'; END IF;\n"
    "  IF t.damaged IS NOT FALSE THEN RETURN 'checksum'; END IF;\n"
    " END LOOP;\n"
    " FOR t IN SELECT w.\"table\" FROM jsonb_to_recordset(tables) AS w(\"table\" text) LOOP\n"
    "  DELETE FROM tombstones WHERE of_table = t.\"table\";\n"
    "  IF t.\"table\" = 'bans' THEN PERFORM replica_swap_bans($3); CONTINUE; END IF;\n"
    "  EXECUTE format('SELECT NOT EXISTS (SELECT FROM %I)', t.\"table\") INTO bare;\n"
    "  IF bare THEN PERFORM replica_fill(t.\"table\"); CONTINUE; END IF;\n"
    "  EXECUTE format('DELETE FROM %1$I AS live WHERE NOT EXISTS (SELECT FROM %2$I AS s WHERE s.id = live.id)',\n"
    "   t.\"table\", 'stage_' || t.\"table\");\n"
    "  EXECUTE format('UPDATE %1$I AS live SET version = s.version, data = s.data FROM %2$I AS s'\n"
    "   ' WHERE s.id = live.id AND (live.version <> s.version OR live.data <> s.data)',\n"
    "   t.\"table\", 'stage_' || t.\"table\");\n"
    "  EXECUTE format('INSERT INTO %1$I (id, version, data) SELECT id, version, data FROM %2$I AS s'\n"
    "   ' WHERE NOT EXISTS (SELECT FROM %1$I AS live WHERE live.id = s.id)', t.\"table\", 'stage_' || "
    "t.\"table\");\n"
    " END LOOP;\n"
    " PERFORM replica_unstage();\n"
    " IF whole THEN\n"
    "  INSERT INTO sync_state AS s (community, epoch, version, snapshot, snapshot_at) VALUES ($2, $3, $4, $1, now())\n"
    "   ON CONFLICT (only_row) DO UPDATE SET community = $2, epoch = $3, version = $4, snapshot = $1,\n"
    "    snapshot_at = now(), applied_at = now(), checked_at = NULL;\n"
    " END IF;\n"
    " RETURN 'ok';\n"
    "END $fn$;\n";

/* Changes that continue exactly where the replica stands. A row changes only to a newer version, and not beyond its
 * tombstone, whatever comes twice. Tables that are not known here are for a later program. */
static const char sql_delta[] =
    "CREATE OR REPLACE FUNCTION replica_delta(m jsonb) RETURNS text LANGUAGE plpgsql AS $fn$\n"
    "DECLARE st sync_state; start bigint := (m->>'from')::bigint; goal bigint := (m->>'to')::bigint;\n"
    " n bigint; lowest bigint; highest bigint; named text[]; t text;\n"
    "BEGIN\n"
    " SELECT * INTO st FROM sync_state FOR UPDATE;\n"
    " IF NOT FOUND OR st.epoch <> (m->>'epoch')::uuid OR st.community <> (m->>'community')::uuid THEN\n"
    "  RETURN 'epoch';\n"
    " END IF;\n"
    " IF goal <= st.version THEN RETURN 'duplicate'; END IF;\n"
    " IF start <> st.version THEN RETURN 'gap'; END IF;\n"
    " SELECT count(DISTINCT c.version), min(c.version), max(c.version), array_agg(DISTINCT c.\"table\")\n"
    "  INTO n, lowest, highest, named FROM jsonb_to_recordset(m->'changes') AS c(\"table\" text, version bigint);\n"
    " IF n <> goal - start OR lowest <> start + 1 OR highest <> goal OR n <> jsonb_array_length(m->'changes') THEN\n"
    "  RETURN 'gap';\n"
    " END IF;\n"
    " FOREACH t IN ARRAY ARRAY['communities', 'units', 'users', 'guests', 'bans'] LOOP\n"
    "  CONTINUE WHEN NOT t = ANY(named);\n"
    "  EXECUTE format('WITH x AS MATERIALIZED (SELECT DISTINCT ON (id) id, version, data,'\n"
    "   ' coalesce(deleted, false) AS deleted FROM jsonb_to_recordset($1)'\n"
    "   ' AS c(\"table\" text, id uuid, version bigint, data jsonb, deleted boolean)'\n"
    "   ' WHERE \"table\" = %1$L ORDER BY id, version DESC),'\n"
    "   ' gone AS (INSERT INTO tombstones SELECT %1$L, id, version FROM x WHERE deleted'\n"
    "   ' ON CONFLICT (of_table, id) DO UPDATE SET version = greatest(tombstones.version, excluded.version)),'\n"
    "   ' removed AS (DELETE FROM %1$I AS live USING x WHERE x.deleted AND x.id = live.id'\n"
    "   ' AND (live.version < x.version%3$s)),'\n"
    "   ' put AS MATERIALIZED (SELECT id, version, data FROM x WHERE NOT deleted'\n"
    "   ' AND NOT EXISTS (SELECT FROM tombstones AS g'\n"
    "   ' WHERE g.of_table = %1$L AND g.id = x.id AND g.version >= x.version)),'\n"
    "   ' changed AS (UPDATE %1$I AS live SET version = put.version, data = put.data%5$s FROM put'\n"
    "   ' WHERE live.id = put.id AND (live.version < put.version%3$s))'\n"
    "   ' INSERT INTO %1$I (id, version, data%2$s) SELECT id, version, data%4$s FROM put'\n"
    "   ' WHERE NOT EXISTS (SELECT FROM %1$I AS live WHERE live.id = put.id)', t,\n"
    "   CASE t WHEN 'bans' THEN ', epoch' ELSE '' END,\n"
    "   CASE t WHEN 'bans' THEN ' OR live.epoch <> $2' ELSE '' END,\n"
    "   CASE t WHEN 'bans' THEN ', $2' ELSE '' END,\n"
    "   CASE t WHEN 'bans' THEN ', epoch = $2, unconfirmed_since = NULL' ELSE '' END)\n"
    "   USING m->'changes', st.epoch;\n"
    " END LOOP;\n"
    " UPDATE sync_state SET version = goal, applied_at = now();\n"
    " RETURN 'ok';\n"
    "END $fn$;\n";

/* Changes that have come together, as one transaction: what it costs to commit is paid once. One that cannot be applied ends it
 * and takes back nothing of those before it; it fails when it comes first. */
static const char sql_deltas[] =
    "CREATE OR REPLACE FUNCTION replica_deltas(messages jsonb, OUT verdict text, OUT version bigint)\n"
    " LANGUAGE plpgsql AS $fn$\n"
    "#variable_conflict use_column\n"
    "DECLARE m jsonb; next text;\n"
    "BEGIN\n"
    " FOR m IN SELECT value FROM jsonb_array_elements(messages) LOOP\n"
    "  IF verdict IS NULL THEN\n"
    "   verdict := replica_delta(m);\n"
    "   EXIT WHEN verdict NOT IN ('ok', 'duplicate');\n"
    "  ELSE\n"
    "   BEGIN\n"
    "    next := replica_delta(m);\n"
    "   EXCEPTION WHEN data_exception OR integrity_constraint_violation THEN next := 'refused';\n"
    "   END;\n"
    "   EXIT WHEN next NOT IN ('ok', 'duplicate');\n"
    "  END IF;\n"
    " END LOOP;\n"
    " SELECT s.version INTO version FROM sync_state AS s;\n"
    "END $fn$;\n";

/* A snapshot has no tombstones: a ban that it lacks has ended by one that was not seen, or is missing because the gateway's
 * database is an older copy, and nothing tells which. So it stays until its tombstone or a person ends it. */
static const char sql_keep_bans[] =
    "CREATE OR REPLACE FUNCTION replica_swap_bans(now_epoch uuid) RETURNS void LANGUAGE sql AS $fn$\n"
    " UPDATE bans AS live SET unconfirmed_since = now() WHERE live.unconfirmed_since IS NULL\n"
    "  AND NOT EXISTS (SELECT FROM stage_bans AS s WHERE s.id = live.id);\n"
    " UPDATE bans AS live SET version = s.version, data = s.data, epoch = now_epoch, unconfirmed_since = NULL\n"
    "  FROM stage_bans AS s WHERE s.id = live.id AND (live.version <> s.version OR live.data <> s.data\n"
    "   OR live.epoch <> now_epoch OR live.unconfirmed_since IS NOT NULL);\n"
    " INSERT INTO bans (id, version, data, epoch) SELECT id, version, data, now_epoch FROM stage_bans AS s\n"
    "  WHERE NOT EXISTS (SELECT FROM bans AS live WHERE live.id = s.id) $fn$;\n";

/* The version says what the gateway has sent. Rows change without it, too: by a table that is fetched again, by a person who
 * releases a ban, by hand. `changes` is another one after each of these. */
static const char sql_changes[] = "ALTER TABLE sync_state ADD COLUMN changes bigint NOT NULL DEFAULT 0;\n"
                                  "CREATE FUNCTION replica_count_change() RETURNS trigger LANGUAGE plpgsql AS $fn$\n"
                                  "BEGIN\n"
                                  " UPDATE sync_state SET changes = changes + 1;\n"
                                  " RETURN NULL;\n"
                                  "END $fn$;\n"
                                  "CREATE TRIGGER count_change AFTER INSERT OR UPDATE OR DELETE ON communities\n"
                                  " FOR EACH STATEMENT EXECUTE FUNCTION replica_count_change();\n"
                                  "CREATE TRIGGER count_change AFTER INSERT OR UPDATE OR DELETE ON units\n"
                                  " FOR EACH STATEMENT EXECUTE FUNCTION replica_count_change();\n"
                                  "CREATE TRIGGER count_change AFTER INSERT OR UPDATE OR DELETE ON users\n"
                                  " FOR EACH STATEMENT EXECUTE FUNCTION replica_count_change();\n"
                                  "CREATE TRIGGER count_change AFTER INSERT OR UPDATE OR DELETE ON guests\n"
                                  " FOR EACH STATEMENT EXECUTE FUNCTION replica_count_change();\n"
                                  "CREATE TRIGGER count_change AFTER INSERT OR UPDATE OR DELETE ON bans\n"
                                  " FOR EACH STATEMENT EXECUTE FUNCTION replica_count_change();\n";

/* Words of a guest's name after the first, which guests_name finds. */
#define WORDS "array_to_tsvector((string_to_array(norm_name, ' '))[2:])"

/* What a lookup finds guests by: a code as it is typed, any word of a name, a unit by the text that names it. The list of what the
 * index of words has not taken in yet is read by every lookup, and is kept short. */
static const char sql_lookup_indexes[] =
    "ALTER TABLE guests ADD COLUMN norm_code text GENERATED ALWAYS AS (secbox_norm_plate(data->>'code')) STORED;\n"
    "CREATE INDEX guests_norm_code ON guests(norm_code) WHERE norm_code IS NOT NULL;\n"
    "CREATE INDEX guests_words ON guests USING gin (" WORDS ") WITH (gin_pending_list_limit = 512);\n"
    "CREATE INDEX units_id_text ON units((id::text));\n";

/* Who may be meant by what was typed. A function, so that a session plans it once: that takes longer than to carry it out. The plan
 * has to be the one for a large community, whatever is there when it is made. Each part has its own bound, so that many guests of
 * a beginning do not hide the one of a code. '~' comes after all that normal names and plates are written with. */
static const char sql_lookup[] =
    "CREATE OR REPLACE FUNCTION gate_candidates(typed text)\n"
    " RETURNS TABLE (kind text, id uuid, data jsonb, used bigint, unit text) LANGUAGE plpgsql STABLE\n"
    " SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $fn$\n"
    "#variable_conflict use_column\n"
    "DECLARE p text := secbox_norm_plate(typed); p_end text := p || '~'; n text := secbox_norm_name(typed);\n"
    " n_end text := n || '~'; part text := '% ' || n || '%';\n"
    " words tsquery := CASE WHEN length(n) >= 3 THEN (replace(n, ' ', ' & ') || ':*')::tsquery END;\n"
    "BEGIN\n"
    " RETURN QUERY WITH found AS (\n"
    "  (SELECT id FROM guests WHERE norm_plate ~>=~ p AND norm_plate ~<~ p_end ORDER BY norm_plate USING ~<~ LIMIT "
    "20)\n"
    "  UNION (SELECT id FROM guests WHERE norm_code = p LIMIT 20)\n"
    "  UNION (SELECT id FROM guests WHERE norm_name ~>=~ n AND norm_name ~<~ n_end ORDER BY norm_name USING ~<~ LIMIT "
    "20)\n"
    "  UNION (SELECT id FROM guests WHERE " WORDS " @@ words AND norm_name LIKE part ORDER BY norm_name LIMIT 20))\n"
    " (SELECT 'guest', g.id, g.data, (SELECT count(*) FROM guest_uses AS u WHERE u.guest = g.id),\n"
    "  (SELECT m.data->>'name' FROM units AS m WHERE m.id::text = g.data->>'unit')\n"
    "  FROM guests AS g WHERE g.id IN (SELECT id FROM found) ORDER BY g.norm_name, g.id)\n"
    " UNION ALL (SELECT 'resident', r.id, r.data, 0::bigint,\n"
    "  (SELECT m.data->>'name' FROM units AS m WHERE m.id::text = r.data->>'unit')\n"
    "  FROM users AS r WHERE r.data->>'role' = 'resident' AND r.norm_name ~>=~ n AND r.norm_name ~<~ n_end\n"
    "  ORDER BY r.norm_name USING ~<~ LIMIT 20);\n"
    "END $fn$;\n";

/* Who may sit in a car of which a camera has read the plate: those whom gate_candidates() finds, and guests of about today whose
 * plate is one edit (secbox/lan/match.h) from what was read. All texts that are, some hundreds, are looked up in the index of
 * plates: a millisecond or two however many guests there are, and no index of its own that each change of them would pay
 * for. The days before and after stand for the offsets of times in rows. */
static const char sql_seen[] =
    "CREATE OR REPLACE FUNCTION secbox_near_plates(p text) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS "
    "$fn$\n"
    " SELECT array_agg(DISTINCT near) FROM (\n"
    "  SELECT left(p, i - 1) || c || substr(p, i + 1) AS near FROM generate_series(1, length(p)) AS i,\n"
    "   string_to_array('0,1,2,3,4,5,6,7,8,9,A,C,D,E,F,G,H,J,K,L,M,N,P,Q,R,T,U,V,W,X,Y,', ',') AS l, unnest(l) AS c\n"
    "  UNION ALL SELECT left(p, i) || c || substr(p, i + 1) FROM generate_series(0, length(p)) AS i,\n"
    "   string_to_array('0,1,2,3,4,5,6,7,8,9,A,C,D,E,F,G,H,J,K,L,M,N,P,Q,R,T,U,V,W,X,Y', ',') AS l, unnest(l) AS c\n"
    "  UNION ALL SELECT left(p, i - 1) || substr(p, i + 1, 1) || substr(p, i, 1) || substr(p, i + 2)\n"
    "   FROM generate_series(1, length(p) - 1) AS i) AS all_of_them\n"
    " WHERE length(p) BETWEEN 4 AND 16 AND length(near) >= 4 $fn$;\n"
    "CREATE OR REPLACE FUNCTION gate_seen(plate text)\n"
    " RETURNS TABLE (kind text, id uuid, data jsonb, used bigint, unit text) LANGUAGE plpgsql STABLE\n"
    " SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $fn$\n"
    "#variable_conflict use_column\n"
    "DECLARE near text[] := secbox_near_plates(secbox_norm_plate(plate)); today timestamp := now() AT TIME ZONE "
    "'UTC';\n"
    " day_before text := to_char(today - interval '1 day', 'YYYY-MM-DD');\n"
    " days_after text := to_char(today + interval '2 days', 'YYYY-MM-DD');\n"
    "BEGIN\n"
    " RETURN QUERY SELECT * FROM gate_candidates(plate);\n"
    " RETURN QUERY SELECT 'guest', g.id, g.data, (SELECT count(*) FROM guest_uses AS u WHERE u.guest = g.id),\n"
    "  (SELECT m.data->>'name' FROM units AS m WHERE m.id::text = g.data->>'unit')\n"
    "  FROM guests AS g WHERE g.norm_plate = ANY(near)\n"
    "   AND (g.data->>'until') COLLATE \"C\" > day_before AND (g.data->>'from') COLLATE \"C\" < days_after\n"
    "  ORDER BY g.data->>'from' DESC, g.id LIMIT 20;\n"
    "END $fn$;\n";

/* A guest whose name nobody knows comes by plate or code: the gateway takes such rows, so the replica has to. */
static const char sql_nameless[] = "ALTER TABLE guests DROP CONSTRAINT IF EXISTS guests_data_check;\n"
                                   "ALTER TABLE guests ADD CONSTRAINT guests_whole CHECK (data->>'community' IS NOT "
                                   "NULL AND data->>'unit' IS NOT NULL\n"
                                   " AND data->>'from' IS NOT NULL AND data->>'until' IS NOT NULL);\n";

static const SchemaStep steps[] = {
    { 1, sql_encoding },
    { 2, sql_folding },
    { 3, sql_rows },
    { 4, sql_state },
    { 5, sql_checksum },
    { 6, sql_staging },
    { 7, sql_swap_bans },
    { 8, sql_swap },
    { 9, sql_delta },
    { 10, queue_schema_tables },
    { 11, queue_schema_write },
    { 12, queue_schema_ack },
    { 13, queue_schema_trim },
    { 14, sql_keep_bans },
    { 15, sql_changes },
    { 16, queue_schema_keep },
    /* as above, for databases that have these functions as they were before */
    { 17, sql_folding },
    { 18, sql_checksum },
    { 19, sql_keep_bans },
    { 20, sql_swap },
    { 21, sql_delta },
    { 22, sql_lookup_indexes },
    { 23, sql_lookup },
    { 24, queue_schema_passes },
    { 25, sql_nameless },
    { 26, queue_schema_counts },
    { 27, sql_fill },
    { 28, sql_swap },
    { 29, sql_seen },
    { 31, queue_schema_planned },
    { 32, "CREATE INDEX users_face ON users(id) WHERE data ? 'face';\n"
          "CREATE INDEX bans_face ON bans(id) WHERE data ? 'face';\n" },
    /* as above */
    { 33, sql_folding },
    { 34, sql_deltas },
    {},
};

const StoreSchema replica_schema = {
    .program = "secbox",
    .setting = "set DATABASE_URL",
    .lock = "7301992544120782",
    .newer_is_fine = true,
    .steps = steps,
    .statement_max = STATEMENT_MAX,
    .queries_max = QUERIES_MAX,
};

/* SPDX-License-Identifier: MIT */
#include "gateway/store/schema-communities.h"

const char schema_passes[] =
    "CREATE TABLE pass_keys ("
    " community uuid PRIMARY KEY REFERENCES communities(id),"
    " key text NOT NULL,"
    " jwk jsonb NOT NULL,"
    " made_at timestamptz NOT NULL DEFAULT now(),"
    " made_by text NOT NULL);\n"
    /* Whoever changes the community's row does not have to know the key: it is put back into what they write. */
    "CREATE FUNCTION pass_key_member(p_kind text, p_community uuid) RETURNS jsonb LANGUAGE sql STABLE AS $fn$"
    " SELECT coalesce((SELECT jsonb_build_object('passKey', k.jwk) FROM pass_keys k"
    " WHERE p_kind = 'communities' AND k.community = p_community), '{}') $fn$;\n"
    /* The lock is that of community_write(): two who ask at once get one key. */
    "CREATE FUNCTION pass_key_keep(p_community uuid, p_key text, p_jwk jsonb, p_actor text,"
    " OUT key text, OUT epoch text, OUT version bigint) LANGUAGE plpgsql AS $fn$\n"
    "#variable_conflict use_column\n"
    "DECLARE was jsonb; public jsonb; done record;\n"
    "BEGIN\n"
    " PERFORM FROM communities c WHERE c.id = p_community FOR UPDATE;\n"
    " SELECT r.data INTO was FROM community_rows r WHERE r.kind = 'communities' AND r.id = p_community"
    " AND NOT r.deleted;\n"
    " IF was IS NULL THEN RETURN; END IF;\n"
    " INSERT INTO pass_keys (community, key, jwk, made_by) VALUES (p_community, p_key, p_jwk, p_actor)"
    " ON CONFLICT DO NOTHING;\n"
    " SELECT k.key, k.jwk INTO key, public FROM pass_keys k WHERE k.community = p_community;\n"
    " SELECT * INTO done FROM community_write('communities', p_community, p_community,"
    " was || jsonb_build_object('passKey', public), NULL, false, p_actor);\n"
    " epoch := done.epoch; version := done.version;\n"
    "END $fn$;\n";

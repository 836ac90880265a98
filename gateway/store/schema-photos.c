/* SPDX-License-Identifier: MIT */
/* Which photos events name, and which of them are here. The bytes are in files. */
#include "gateway/store/schema-communities.h"

const char schema_photos[] =
    "CREATE TABLE box_photos ("
    " community uuid NOT NULL,"
    " sha256 text NOT NULL,"
    " event bigint NOT NULL REFERENCES box_events(seq) ON DELETE CASCADE,"
    " PRIMARY KEY (community, sha256, event));\n"
    "CREATE INDEX box_photos_event ON box_photos(event);\n"
    /* gone_at: it was deleted, because its events are as old as photos may become */
    "CREATE TABLE photo_files ("
    " community uuid NOT NULL,"
    " sha256 text NOT NULL,"
    " bytes integer NOT NULL,"
    " stored_at timestamptz NOT NULL DEFAULT now(),"
    " gone_at timestamptz,"
    " PRIMARY KEY (community, sha256));\n"
    /* what an event says wrongly of photos is no reason to refuse the event */
    "CREATE FUNCTION box_event_photos() RETURNS trigger LANGUAGE plpgsql AS $fn$\n"
    "BEGIN\n"
    " IF jsonb_typeof(NEW.data->'photos') = 'array' THEN\n"
    "  IF jsonb_array_length(NEW.data->'photos') <= 4 THEN\n"
    "   INSERT INTO box_photos(community, sha256, event) SELECT NEW.community, p, NEW.seq"
    " FROM jsonb_array_elements_text(NEW.data->'photos') p WHERE p ~ '^[0-9a-f]{64}$' ON CONFLICT DO NOTHING;\n"
    "  END IF;\n"
    " END IF;\n"
    " RETURN NULL;\n"
    "END $fn$;\n"
    "CREATE TRIGGER box_events_photos AFTER INSERT ON box_events FOR EACH ROW WHEN (NEW.data ? 'photos')"
    " EXECUTE FUNCTION box_event_photos();\n";

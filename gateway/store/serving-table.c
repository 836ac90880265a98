/* SPDX-License-Identifier: MIT */
#include "gateway/store/serving-table.h"

const char schema_serving[] = "CREATE TABLE serving ("
                              " one boolean PRIMARY KEY DEFAULT true CHECK (one),"
                              " key text NOT NULL,"
                              " place text NOT NULL,"
                              " seen_at timestamptz NOT NULL DEFAULT now());\n";

/* The outer SELECT sees the row as it was. A clock that was set back must keep nobody waiting either. */
Statement sql_serving_take(const char *key, const char *place)
{
    return STATEMENT("WITH taken AS (INSERT INTO serving(key, place) VALUES ($1, $2)"
                     " ON CONFLICT (one) DO UPDATE SET key = $1, place = $2, seen_at = now()"
                     " WHERE (serving.key = $1 AND serving.place = $2) OR serving.seen_at NOT BETWEEN"
                     " now() - interval '1 minute' AND now() + interval '1 minute' RETURNING 1)"
                     " SELECT EXISTS (SELECT 1 FROM taken), (SELECT place FROM serving)",
                     sql_text(key), sql_text(place));
}

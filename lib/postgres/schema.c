/* SPDX-License-Identifier: MIT */
#include "lib/postgres/schema.h"

#include <errno.h>

#include "lib/base/buf.h"
#include "lib/base/strv.h"

#define SCRIPT_SIZE_MAX (256 * 1024)
#define PART_SIZE (4 * 1024) /* with any one step less than the 16 KiB that libpq has for a message from the start */

/* What is in the buffer becomes a part, when it is long enough for one. */
static int end_part(Buf *b, size_t long_enough, char ***parts)
{
    if (b->len < long_enough)
        return 0;
    char *part = buf_take(b);
    return part ? strv_take(parts, part) : -ENOMEM;
}

static int add_steps(Buf *b, const SchemaStep *steps, char ***parts)
{
    int r = 0;
    for (const SchemaStep *step = steps; step->sql && r >= 0; step++) {
        r = buf_printf(b,
                       "DO $secbox$ BEGIN IF NOT EXISTS (SELECT 1 FROM schema_version WHERE version = %u) THEN\n"
                       "%sINSERT INTO schema_version(version) VALUES (%u);\nEND IF; END $secbox$;\n",
                       step->version, step->sql, step->version);
        if (r >= 0)
            r = end_part(b, PART_SIZE, parts);
    }
    return r;
}

static unsigned newest_version(const SchemaStep *steps)
{
    unsigned newest = 0;
    for (const SchemaStep *step = steps; step->sql; step++)
        newest = step->version;
    return newest;
}

/* Nothing in it writes where all steps are done: a database that is read-only can be read. */
static int add_script(Buf *b, const StoreSchema *schema, char ***parts)
{
    unsigned newest = newest_version(schema->steps);
    int r = buf_printf(b,
                       "BEGIN;\nSELECT pg_advisory_xact_lock(%s);\n"
                       "DO $secbox$ BEGIN IF to_regclass('schema_version') IS NULL THEN\n"
                       "CREATE TABLE schema_version (version integer PRIMARY KEY,"
                       " applied_at timestamptz NOT NULL DEFAULT now());\nEND IF; END $secbox$;\n",
                       schema->lock);
    if (r >= 0 && !schema->newer_is_fine)
        r = buf_printf(b,
                       "DO $secbox$ BEGIN IF (SELECT max(version) FROM schema_version) > %u THEN RAISE EXCEPTION"
                       " 'the database has a newer schema than this program, which knows version %u:"
                       " install the newer %s'; END IF; END $secbox$;\n",
                       newest, newest, schema->program);
    if (r >= 0)
        r = add_steps(b, schema->steps, parts);
    if (r < 0)
        return r;
    r = buf_printf(b, "COMMIT;\nSET statement_timeout = '%llums';\nSET lock_timeout = '5s';\n",
                   (unsigned long long) (schema->statement_max / USEC_PER_MSEC));
    return r < 0 ? r : end_part(b, 0, parts);
}

char **schema_script_parts(const StoreSchema *schema)
{
    _cleanup_(strv_freep) char **parts = NULL;
    Buf b = BUF_INIT(SCRIPT_SIZE_MAX);
    if (add_script(&b, schema, &parts) < 0) {
        buf_done(&b);
        return NULL;
    }
    return TAKE_PTR(parts);
}

char *schema_script(const StoreSchema *schema)
{
    _cleanup_(strv_freep) char **parts = schema_script_parts(schema);
    return parts ? strv_join(parts, "") : NULL;
}

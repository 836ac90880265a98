/* SPDX-License-Identifier: MIT */
#include "secbox/replica/database-state.h"

#include <stddef.h>

#include "lib/base/mem.h"
#include "lib/base/strv.h"
#include "lib/postgres/sqlstate.h"

static const struct {
    const char *name, *help;
} states[] = {
    [DATABASE_NONE] = { "none", "not set up: secbox.env has no DATABASE_URL, or one that cannot be read" },
    [DATABASE_CONNECTING] = { "connecting", "being connected to" },
    [DATABASE_UP] = { "up", "there" },
    [DATABASE_UNREACHABLE] = { "unreachable", "not reachable: see whether its container runs, and DATABASE_URL" },
    [DATABASE_STARTING] = { "starting", "starting or stopping; it is tried again" },
    [DATABASE_MISSING] = { "missing", "not there: the server has no database of that name" },
    [DATABASE_REFUSED] = { "refused", "not for us: the server refuses this user or password" },
    [DATABASE_FULL] = { "full", "full: the disk has no room; reading goes on, nothing new is stored" },
    [DATABASE_READ_ONLY] = { "read-only", "read-only; reading goes on, nothing new is stored" },
    [DATABASE_BUSY] = { "busy", "out of memory or connections; it is tried again" },
    [DATABASE_DAMAGED] = { "damaged", "damaged: restore it, or remove its volume; the cloud sends its data again" },
    [DATABASE_UNSUITABLE] = { "unsuitable", "not one that secbox can use" },
};

/* The first prefix that fits. */
static const struct {
    const char *prefix;
    DatabaseState state;
} codes[] = {
    { "57P", DATABASE_STARTING }, /* cannot connect now, is shut down, has crashed */
    { "3D000", DATABASE_MISSING }, { "28", DATABASE_REFUSED },    { "42501", DATABASE_REFUSED },
    { "53100", DATABASE_FULL },    { "53", DATABASE_BUSY },       { SQLSTATE_READ_ONLY, DATABASE_READ_ONLY },
    { "XX001", DATABASE_DAMAGED }, { "XX002", DATABASE_DAMAGED }, { "58030", DATABASE_DAMAGED },
    { "58P01", DATABASE_DAMAGED },
};

const char *database_state_name(DatabaseState s)
{
    return states[s].name;
}

const char *database_state_help(DatabaseState s)
{
    return states[s].help;
}

static DatabaseState find(const char *sqlstate, DatabaseState otherwise)
{
    for (size_t i = 0; i < ELEMENTSOF(codes); i++)
        if (str_starts(sqlstate, codes[i].prefix))
            return codes[i].state;
    return otherwise;
}

DatabaseState database_state_when_down(const char *sqlstate)
{
    return sqlstate[0] == '\0' || str_starts(sqlstate, "08") ? DATABASE_UNREACHABLE
                                                             : find(sqlstate, DATABASE_UNSUITABLE);
}

DatabaseState database_state_when_failed(const char *sqlstate)
{
    return find(sqlstate, DATABASE_UP);
}

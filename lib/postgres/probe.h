/* SPDX-License-Identifier: MIT */
/* How a program's database is, for a person who asks: nothing is changed, and nothing brought up to date. */
#pragma once

#include <stdbool.h>

#include "lib/base/error.h"
#include "lib/postgres/schema.h"
#include "lib/postgres/sqlstate.h"

typedef struct StoreProbe {
    char *host, *database, *user; /* as the connection string and its defaults say; NULL when it cannot be read */
    char sqlstate[SQLSTATE_SIZE]; /* of what failed; "" where the server said nothing */
    bool standby, read_only;
    unsigned version, known; /* of the schema: what the database has (0: none yet), what this program knows */
    char *version_at;        /* since when it has that one */
    char *write_error;       /* why it takes no more; NULL when it does, or when it is read-only */
} StoreProbe;

/* 0 when the database has answered. Errors: as of store_run(). What is known of *ret is set in any case. */
int store_probe(const char *conninfo, const StoreSchema *schema, StoreProbe *ret, Error *err) _must_check_;
void store_probe_done(StoreProbe *p);

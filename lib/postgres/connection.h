/* SPDX-License-Identifier: MIT */
/* Connections to PostgreSQL by libpq, and what their failures mean. */
#pragma once

#include <libpq-fe.h>

#include "lib/postgres/rows.h"
#include "lib/postgres/schema.h"
#include "lib/postgres/sqlstate.h"
#include "lib/base/error.h"

DEFINE_CLEANUP(PGresult, PQclear)
DEFINE_CLEANUP(PGconn, PQfinish)

/* Checks the connection string and makes the password in it known to the redactor. "store.bad-config". */
int store_check_conninfo(const char *conninfo, const StoreSchema *schema, Error *err) _must_check_;

/* HOST[:PORT]/DATABASE of a connection string, for people: nothing else of it. A new string; NULL when it cannot be read. */
char *store_conninfo_place(const char *conninfo);

/* Both connect with the limits that every connection of ours has; NULL when out of memory. One only starts to, the other
 * waits for the end. A host name is resolved by libpq itself, which blocks even when only starting: programs are best given
 * a socket folder or an address. */
PGconn *store_connect_start(const char *conninfo, const StoreSchema *schema);
PGconn *store_connect_wait(const char *conninfo, const StoreSchema *schema);

/* To be called once the connection is there: its messages are short from now on. */
void store_connected(PGconn *conn);

bool store_result_good(const PGresult *result);
/* What a failed result means, or a failed connection when result is NULL: -ENOTCONN "store.unavailable", -EEXIST
 * "store.conflict" (a unique constraint), -ENOBUFS "store.locked" (it has waited for another one as long as it may), -EIO
 * "store.query". */
int store_result_error(PGconn *conn, const PGresult *result, Error *err);
/* The server's code for that failure (SQLSTATE); "" where the server said nothing. */
void store_result_sqlstate(PGconn *conn, const PGresult *result, char ret[static SQLSTATE_SIZE]);

static inline StoreRows *store_rows_from(PGresult *result)
{
    return (StoreRows *) result;
}

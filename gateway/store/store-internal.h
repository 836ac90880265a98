/* SPDX-License-Identifier: MIT */
/* What the store's files share and nobody else sees: libpq. */
#pragma once

#include <libpq-fe.h>

#include "gateway/store/store.h"

DEFINE_CLEANUP(PGresult, PQclear)
DEFINE_CLEANUP(PGconn, PQfinish)

/* One script for the simple protocol that brings any older schema up to date in a transaction under an
 * advisory lock, and sets the session's limits. New string, NULL when out of memory. */
char *store_schema_script(void);

/* Checks the connection string and hides its password. "store.bad-config". */
int store_check_conninfo(const char *conninfo, Error *err) _must_check_;
/* Starts to connect with the limits that every connection of ours has; NULL when out of memory. */
PGconn *store_connect_start(const char *conninfo);
/* Turns a failed result (or a failed connection, when result is NULL) into r and err as store_done_t
 * promises. */
int store_result_error(PGconn *conn, const PGresult *result, Error *err);

static inline StoreRows *store_rows_from(PGresult *result)
{
    return (StoreRows *) result;
}

/* SPDX-License-Identifier: MIT */
/* See run.h. */
#include "lib/postgres/run.h"

#include <errno.h>

#include "lib/postgres/connection.h"

int store_run(const char *conninfo, const StoreSchema *s, const Statement *st, StoreRows **ret, Error *err)
{
    int r = store_check_conninfo(conninfo, s, err);
    if (r < 0)
        return r;
    _cleanup_(PQfinishp) PGconn *conn = store_connect_wait(conninfo, s);
    _cleanup_(freep) char *script = schema_script(s);
    _cleanup_(freep) char **params = st ? statement_params(st) : NULL;
    if (!conn || !script || (st && !params))
        return error_from_errno(err, -ENOMEM, "connecting to the database");
    if (PQstatus(conn) != CONNECTION_OK)
        return store_result_error(conn, NULL, err);
    store_connected(conn);
    _cleanup_(PQclearp) PGresult *schema = PQexec(conn, script);
    if (!store_result_good(schema))
        return error_prefix(err, store_result_error(conn, schema, err), "bringing the schema up to date");
    if (!st)
        return 0;
    _cleanup_(PQclearp) PGresult *result =
        PQexecParams(conn, st->sql, (int) st->n, NULL, (const char *const *) params, NULL, NULL, 0);
    if (!store_result_good(result))
        return store_result_error(conn, result, err);
    if (ret)
        *ret = store_rows_from(TAKE_PTR(result));
    return 0;
}

/* SPDX-License-Identifier: MIT */
/* Connections to PostgreSQL, what their failures mean, and the blocking path of the command verbs. */
#include "gateway/store/store-internal.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "lib/base/redact.h"
#include "lib/base/strv.h"

#define SQLSTATE_UNIQUE_VIOLATION "23505"

int store_check_conninfo(const char *conninfo, Error *err)
{
    if (str_empty(conninfo))
        return error_set(err, EINVAL, "store.bad-config",
                         "no database is named: give --database or set SECBOX_GATEWAY_DATABASE");
    char *message = NULL;
    PQconninfoOption *options = PQconninfoParse(conninfo, &message);
    if (!options) {
        /* libpq quotes the string that it could not read, which may hold a password */
        PQfreemem(message);
        return error_set(err, EINVAL, "store.bad-config",
                         "the database connection string cannot be read: use keyword=value pairs"
                         " or a postgresql:// URI");
    }
    for (PQconninfoOption *o = options; o->keyword; o++)
        if (str_equal(o->keyword, "password") && o->val)
            redact_add_secret(o->val);
    PQconninfoFree(options);
    return 0;
}

static void notice_ignore(void *userdata _unused_, const char *message _unused_)
{
}

static const char *const connect_keywords[] = {
    "dbname",
    "fallback_application_name",
    "connect_timeout",
    "keepalives_idle",
    "tcp_user_timeout",
    "client_encoding",
    NULL,
};

/* `wait` until connected, or only start. A host name is resolved by libpq itself, which blocks even when only
 * starting: gateways are best given a socket folder or an address. */
static PGconn *connect_with(const char *conninfo, bool wait)
{
    const char *values[] = { conninfo, "secbox-gateway", "10", "30", "30000", "UTF8", NULL };
    PGconn *conn = wait ? PQconnectdbParams(connect_keywords, values, 1)
                        : PQconnectStartParams(connect_keywords, values, 1);
    if (conn)
        PQsetNoticeProcessor(conn, notice_ignore, NULL);
    return conn;
}

PGconn *store_connect_start(const char *conninfo)
{
    return connect_with(conninfo, false);
}

/* libpq ends its messages with a newline and may send several lines. */
static int set_from_libpq(Error *err, int code, const char *id, const char *what, const char *message)
{
    size_t len = strcspn(message ? message : "", "\n");
    if (len == 0)
        return error_set(err, code, id, "%s", what);
    return error_set(err, code, id, "%s: %.*s", what, len > 500 ? 500 : (int) len, message);
}

int store_result_error(PGconn *conn, const PGresult *result, Error *err)
{
    if (!result || PQstatus(conn) == CONNECTION_BAD)
        return set_from_libpq(err, ENOTCONN, "store.unavailable", "the database does not answer, try again",
                              PQerrorMessage(conn));
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    if (str_equal(state, SQLSTATE_UNIQUE_VIOLATION))
        return set_from_libpq(err, EEXIST, "store.conflict", "the database holds such an entry already",
                              PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY));
    return set_from_libpq(err, EIO, "store.query", "the database refused a statement",
                          PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY));
}

size_t store_rows_count(const StoreRows *rows)
{
    int n = PQntuples((const PGresult *) rows);
    return n > 0 ? (size_t) n : 0;
}

const char *store_rows_get(const StoreRows *rows, size_t row, unsigned column)
{
    const PGresult *result = (const PGresult *) rows;
    if (row > INT_MAX || column > INT_MAX || PQgetisnull(result, (int) row, (int) column))
        return NULL;
    return PQgetvalue(result, (int) row, (int) column);
}

StoreRows *store_rows_free(StoreRows *rows)
{
    PQclear((PGresult *) rows);
    return NULL;
}

static bool result_is_good(const PGresult *result)
{
    ExecStatusType s = PQresultStatus(result);
    return s == PGRES_COMMAND_OK || s == PGRES_TUPLES_OK;
}

int store_run(const char *conninfo, const char *sql, const char *const *params, size_t n, StoreRows **ret,
              Error *err)
{
    int r = store_check_conninfo(conninfo, err);
    if (r < 0)
        return r;
    _cleanup_(PQfinishp) PGconn *conn = connect_with(conninfo, true);
    _cleanup_(freep) char *script = store_schema_script();
    if (!conn || !script)
        return error_from_errno(err, -ENOMEM, "connecting to the database");
    if (PQstatus(conn) != CONNECTION_OK)
        return store_result_error(conn, NULL, err);
    _cleanup_(PQclearp) PGresult *schema = PQexec(conn, script);
    if (!result_is_good(schema))
        return error_prefix(err, store_result_error(conn, schema, err), "bringing the schema up to date");
    if (!sql)
        return 0;
    _cleanup_(PQclearp) PGresult *result = PQexecParams(conn, sql, (int) n, NULL, params, NULL, NULL, 0);
    if (!result_is_good(result))
        return store_result_error(conn, result, err);
    if (ret)
        *ret = store_rows_from(TAKE_PTR(result));
    return 0;
}

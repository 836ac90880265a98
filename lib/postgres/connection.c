/* SPDX-License-Identifier: MIT */
/* See connection.h. */
#include "lib/postgres/connection.h"

#include <errno.h>
#include <string.h>

#include "lib/base/redact.h"
#include "lib/base/strv.h"

#define SQLSTATE_UNIQUE_VIOLATION "23505"
#define SQLSTATE_LOCK_NOT_AVAILABLE "55P03"

int store_check_conninfo(const char *conninfo, const StoreSchema *schema, Error *err)
{
    if (str_empty(conninfo))
        return error_set(err, EINVAL, "store.bad-config", "no database is named: %s", schema->setting);
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

static const char *option_value(const PQconninfoOption *options, const char *keyword)
{
    for (const PQconninfoOption *o = options; o->keyword; o++)
        if (str_equal(o->keyword, keyword))
            return o->val;
    return NULL;
}

char *store_conninfo_place(const char *conninfo)
{
    PQconninfoOption *options = PQconninfoParse(conninfo, NULL);
    if (!options)
        return NULL;
    const char *host = option_value(options, "host"), *port = option_value(options, "port");
    const char *database = option_value(options, "dbname");
    if (str_empty(host))
        host = option_value(options, "hostaddr");
    char *place = str_format("%s%s%s/%s", host ? host : "", str_empty(port) ? "" : ":", port ? port : "",
                             database ? database : "");
    PQconninfoFree(options);
    return place;
}

static void notice_ignore(void *userdata _unused_, const char *message _unused_)
{
}

static const char *const connect_keywords[] = {
    "dbname", "fallback_application_name", "connect_timeout", "keepalives_idle", "tcp_user_timeout", "client_encoding",
    NULL,
};

static PGconn *connect_with(const char *conninfo, const StoreSchema *schema,
                            PGconn *(*connect)(const char *const *, const char *const *, int) )
{
    const char *values[] = { conninfo, schema->program, "10", "30", "30000", "UTF8", NULL };
    PGconn *conn = connect(connect_keywords, values, 1);
    if (conn) {
        PQsetNoticeProcessor(conn, notice_ignore, NULL);
        /* a refusal to connect has its code in the message, or nowhere */
        (void) PQsetErrorVerbosity(conn, PQERRORS_VERBOSE);
    }
    return conn;
}

void store_connected(PGconn *conn)
{
    (void) PQsetErrorVerbosity(conn, PQERRORS_DEFAULT);
}

PGconn *store_connect_start(const char *conninfo, const StoreSchema *schema)
{
    return connect_with(conninfo, schema, PQconnectStartParams);
}

PGconn *store_connect_wait(const char *conninfo, const StoreSchema *schema)
{
    return connect_with(conninfo, schema, PQconnectdbParams);
}

/* libpq ends its messages with a newline and may send several lines. A code in it is nothing that a person needs. */
static int set_from_libpq(Error *err, int code, const char *id, const char *what, const char *message)
{
    size_t len = strcspn(message ? message : "", "\n");
    if (len == 0)
        return error_set(err, code, id, "%s", what);
    const char *sqlstate = sqlstate_find(message);
    if (!sqlstate || sqlstate > message + len)
        return error_set(err, code, id, "%s: %.*s", what, len > 500 ? 500 : (int) len, message);
    size_t before = (size_t) (sqlstate - message), skipped = before + SQLSTATE_SIZE + 1;
    size_t after = len > skipped ? len - skipped : 0;
    return error_set(err, code, id, "%s: %.*s%.*s", what, before > 250 ? 250 : (int) before, message,
                     after > 250 ? 250 : (int) after, message + skipped);
}

void store_result_sqlstate(PGconn *conn, const PGresult *result, char ret[static SQLSTATE_SIZE])
{
    const char *state = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : sqlstate_find(PQerrorMessage(conn));
    memset(ret, 0, SQLSTATE_SIZE);
    if (state)
        memcpy(ret, state, strnlen(state, SQLSTATE_SIZE - 1));
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
    if (str_equal(state, SQLSTATE_LOCK_NOT_AVAILABLE))
        return set_from_libpq(err, ENOBUFS, "store.locked",
                              "somebody else is changing the same just now, as an import does: try again", NULL);
    return set_from_libpq(err, EIO, "store.query", "the database refused a statement",
                          PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY));
}

bool store_result_good(const PGresult *result)
{
    ExecStatusType s = PQresultStatus(result);
    return s == PGRES_COMMAND_OK || s == PGRES_TUPLES_OK;
}

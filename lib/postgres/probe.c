/* SPDX-License-Identifier: MIT */
#include "lib/postgres/probe.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/strv.h"
#include "lib/postgres/connection.h"

#define CONNECT_TIMEOUT (15 * USEC_PER_SEC)
#define ASK_STATE                                                                                                      \
    "SELECT pg_is_in_recovery(), current_setting('transaction_read_only')::boolean, to_regclass('schema_version') IS " \
    "NOT NULL"
#define ASK_VERSION                                                                                                    \
    "SELECT version, to_char(applied_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"') FROM schema_version " \
    "ORDER BY version DESC LIMIT 1"
/* Blocks of a file that is new, so that a full disk cannot hide; it is gone with the transaction. */
#define TRY_WRITING                                                                                                    \
    "BEGIN; SET LOCAL statement_timeout = '10s'; CREATE TEMPORARY TABLE secbox_probe ON COMMIT DROP AS"                \
    " SELECT n FROM generate_series(1, 20000) n; ROLLBACK"

void store_probe_done(StoreProbe *p)
{
    free(p->host);
    free(p->database);
    free(p->user);
    free(p->version_at);
    free(p->write_error);
}

static int ask(PGconn *conn, const char *sql, StoreProbe *p, PGresult **ret, Error *err)
{
    PGresult *result = PQexec(conn, sql);

    *ret = result;
    if (store_result_good(result))
        return 0;
    store_result_sqlstate(conn, result, p->sqlstate);
    return store_result_error(conn, result, err);
}

static bool is_true(const PGresult *result, int column)
{
    return PQntuples(result) > 0 && str_equal(PQgetvalue(result, 0, column), "t");
}

static int ask_state(PGconn *conn, StoreProbe *p, Error *err)
{
    _cleanup_(PQclearp) PGresult *state = NULL;
    _cleanup_(PQclearp) PGresult *version = NULL;
    uint64_t number;
    int r = ask(conn, ASK_STATE, p, &state, err);

    if (r < 0)
        return r;
    p->standby = is_true(state, 0);
    p->read_only = is_true(state, 1);
    if (!is_true(state, 2))
        return 0;
    r = ask(conn, ASK_VERSION, p, &version, err);
    if (r < 0 || PQntuples(version) == 0)
        return r;
    if (str_to_u64(PQgetvalue(version, 0, 0), 1, UINT32_MAX, &number) == 0)
        p->version = (unsigned) number;
    p->version_at = strdup(PQgetvalue(version, 0, 1));
    return 0;
}

static int try_writing(PGconn *conn, StoreProbe *p)
{
    _cleanup_(PQclearp) PGresult *written = NULL;
    _cleanup_(error_done) Error why = {};

    if (p->read_only || ask(conn, TRY_WRITING, p, &written, &why) == 0)
        return 0;
    p->write_error = strdup(error_message(&why, -EIO));
    return p->write_error ? 0 : -ENOMEM;
}

/* Step by step: when libpq waits by itself, it does not say the server's code of a refusal. */
static void connect_fully(PGconn *conn)
{
    usec_t end = boottime_usec() + CONNECT_TIMEOUT, now;
    PostgresPollingStatusType step = PQstatus(conn) == CONNECTION_BAD ? PGRES_POLLING_FAILED : PGRES_POLLING_WRITING;

    while (step != PGRES_POLLING_OK && step != PGRES_POLLING_FAILED && (now = boottime_usec()) < end) {
        struct pollfd p = { .fd = PQsocket(conn), .events = step == PGRES_POLLING_READING ? POLLIN : POLLOUT };

        if (poll(&p, 1, (int) ((end - now) / USEC_PER_MSEC) + 1) > 0)
            step = PQconnectPoll(conn);
    }
}

int store_probe(const char *conninfo, const StoreSchema *schema, StoreProbe *ret, Error *err)
{
    int r = store_check_conninfo(conninfo, schema, err);

    for (const SchemaStep *step = schema->steps; step->sql; step++)
        ret->known = step->version;
    if (r < 0)
        return r;
    _cleanup_(PQfinishp) PGconn *conn = store_connect_start(conninfo, schema);
    if (!conn)
        return error_from_errno(err, -ENOMEM, "connecting to the database");
    connect_fully(conn);
    ret->host = str_format("%s", PQhost(conn) ? PQhost(conn) : "");
    ret->database = str_format("%s", PQdb(conn) ? PQdb(conn) : "");
    ret->user = str_format("%s", PQuser(conn) ? PQuser(conn) : "");
    if (PQstatus(conn) != CONNECTION_OK) {
        store_result_sqlstate(conn, NULL, ret->sqlstate);
        return store_result_error(conn, NULL, err);
    }
    store_connected(conn);
    r = ask_state(conn, ret, err);
    return r < 0 ? r : try_writing(conn, ret);
}

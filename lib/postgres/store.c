/* SPDX-License-Identifier: MIT */
/* The connection's life (waiting → connecting → setting up → up) and the queue of statements. */
#include "lib/postgres/store.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#include "lib/postgres/connection.h"
#include "lib/base/encode.h"
#include "lib/base/strv.h"
#include "lib/event/backoff.h"
#include "lib/event/daemon.h"

#define CONNECT_DEADLINE (10 * USEC_PER_SEC)
/* beyond what the server lets a statement take: its own error says more */
#define QUERY_GRACE (5 * USEC_PER_SEC)
#define SETUP_DEADLINE (120 * USEC_PER_SEC)
#define PREPARED_MAX 16
#define PREPARED_NAME_SIZE 24

typedef enum StoreState {
    STORE_WAITING,
    STORE_CONNECTING,
    STORE_SETTING_UP,
    STORE_UP,
} StoreState;

struct StoreQuery {
    Store *store;
    const char *sql;
    char **params; /* as statement_params() makes them */
    size_t n_params;
    bool often;
    store_done_t on_done; /* NULL: silenced */
    void *userdata;
    StoreQuery *next;
};

struct Store {
    sd_event *event;
    char *conninfo;
    const StoreSchema *schema;
    StoreEvents events;
    void *userdata;
    StoreState state;
    PGconn *conn;
    sd_event_source *io, *timer, *kick;
    sd_event_source *deadline; /* of the active statement; once made, it stays */
    Backoff backoff;
    usec_t up_since;
    char **script;            /* what brings the schema up to date, while it is sent */
    size_t script_parts;      /* how many of it were */
    StoreQuery *first, *last; /* waiting */
    StoreQuery *active;       /* sent */
    size_t n_waiting;
    const char *prepared[PREPARED_MAX]; /* the SQL that this session knows by the name of its place */
    size_t n_prepared;
    bool preparing;   /* the active statement, which is run next */
    bool unsent;      /* the active statement: the connection is gone, which its owner hears from the loop */
    bool no_names;    /* something between here and the database does not keep them */
    PGresult *result; /* the newest of the active statement, an error wins */
    char sqlstate[SQLSTATE_SIZE];
};

static void store_connect(Store *s);
static int on_store_io(sd_event_source *source, int fd, uint32_t revents, void *userdata);

static StoreQuery *query_destroy(StoreQuery *q)
{
    if (q) {
        free(q->params);
        free(q);
    }
    return NULL;
}

/* Ends one statement that was taken off its list. */
static void query_finish(StoreQuery *q, int r, const StoreRows *rows, const Error *err)
{
    if (q->on_done)
        q->on_done(q, r, rows, err, q->userdata);
    query_destroy(q);
}

static StoreQuery *query_pop(Store *s)
{
    StoreQuery *q = s->first;
    if (!q)
        return NULL;
    s->first = q->next;
    if (!s->first)
        s->last = NULL;
    s->n_waiting--;
    q->next = NULL;
    return q;
}

static int on_retry(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    store_connect(userdata);
    return 0;
}

static void store_drop_connection(Store *s)
{
    s->io = sd_event_source_disable_unref(s->io);
    timer_disarm(s->timer);
    timer_disarm(s->deadline);
    PQclear(s->result);
    s->result = NULL;
    PQfinish(s->conn);
    s->conn = NULL;
    s->n_prepared = 0;
    s->preparing = s->unsent = false;
    s->script = strv_free(s->script);
}

/* The connection is gone: everything that waits is told, then the next try is planned. */
static void store_lost(Store *s, const Error *err)
{
    if (s->state == STORE_UP)
        backoff_session_ended(&s->backoff, boottime_usec() - s->up_since);
    s->state = STORE_WAITING;
    usec_t delay = backoff_next(&s->backoff, random_u64(), 0, 0);
    s->events.on_down(s, delay, err, s->userdata);
    store_drop_connection(s);
    StoreQuery *active = TAKE_PTR(s->active);
    if (active)
        query_finish(active, -ENOTCONN, NULL, err);
    for (StoreQuery *q = query_pop(s); q; q = query_pop(s))
        query_finish(q, -ENOTCONN, NULL, err);
    if (timer_arm(s->event, &s->timer, delay, on_retry, s) < 0)
        sd_event_exit(s->event, -ENOMEM); /* without the timer it would stay down for ever */
}

static void store_lost_libpq(Store *s)
{
    Error err = {};
    store_result_error(s->conn, NULL, &err);
    store_result_sqlstate(s->conn, NULL, s->sqlstate);
    store_lost(s, &err);
    error_done(&err);
}

static int on_deadline(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    Error err = {};
    Store *s = userdata;
    error_set(&err, ETIMEDOUT, "store.unavailable", "the database does not answer in time, try again");
    s->sqlstate[0] = '\0';
    store_lost(s, &err);
    error_done(&err);
    return 0;
}

/* Watches the socket for `events`; libpq may have changed it since. */
static int store_watch(Store *s, uint32_t events)
{
    if (s->io && sd_event_source_get_io_fd(s->io) == PQsocket(s->conn))
        return sd_event_source_set_io_events(s->io, events);
    s->io = sd_event_source_disable_unref(s->io);
    return sd_event_add_io(s->event, &s->io, PQsocket(s->conn), events, on_store_io, s);
}

/* After a send: 0, or negative when the connection is gone. */
static int store_flush(Store *s)
{
    int r = PQflush(s->conn);
    if (r < 0)
        return -ENOTCONN;
    return store_watch(s, EPOLLIN | (r > 0 ? (uint32_t) EPOLLOUT : 0));
}

static size_t prepared_find(const Store *s, const char *sql)
{
    size_t i = 0;
    while (i < s->n_prepared && s->prepared[i] != sql)
        i++;
    return i;
}

/* The active statement: by its name, or to be given one first, or as it is. */
static bool store_send(Store *s)
{
    const StoreQuery *q = s->active;
    const char *const *params = (const char *const *) q->params;
    char name[PREPARED_NAME_SIZE];
    size_t i = q->often && !s->no_names ? prepared_find(s, q->sql) : PREPARED_MAX;
    if (i == PREPARED_MAX)
        return PQsendQueryParams(s->conn, q->sql, (int) q->n_params, NULL, params, NULL, NULL, 0);
    (void) snprintf(name, sizeof(name), "s%zu", i);
    s->preparing = i == s->n_prepared;
    return s->preparing ? PQsendPrepare(s->conn, name, q->sql, 0, NULL)
                        : PQsendQueryPrepared(s->conn, name, (int) q->n_params, params, NULL, NULL, 0);
}

/* Whether it was sent, or what did not fit into the socket waits in libpq. */
static bool store_try_active(Store *s)
{
    return store_send(s) && store_flush(s) >= 0 &&
           timer_rearm(s->event, &s->deadline, s->schema->statement_max + QUERY_GRACE, on_deadline, s) >= 0;
}

static void store_send_active(Store *s)
{
    if (!store_try_active(s))
        store_lost_libpq(s);
}

static void store_send_next(Store *s)
{
    if (s->state != STORE_UP || s->active)
        return;
    s->active = query_pop(s);
    if (s->active)
        store_send_active(s);
}

static void store_send_script(Store *s)
{
    if (!PQsendQuery(s->conn, s->script[s->script_parts++]) || store_flush(s) < 0 ||
        timer_arm(s->event, &s->timer, SETUP_DEADLINE, on_deadline, s) < 0)
        store_lost_libpq(s);
}

static void store_set_up_part_done(Store *s, int r, const Error *err)
{
    if (r < 0) {
        store_lost(s, err);
        return;
    }
    if (s->script[s->script_parts]) {
        store_send_script(s);
        return;
    }
    s->script = strv_free(s->script);
    s->state = STORE_UP;
    s->up_since = boottime_usec();
    if (s->events.on_up)
        s->events.on_up(s, s->userdata);
}

/* The active statement has ended: tells its owner. */
static void store_statement_done(Store *s)
{
    Error err = {};
    int r = 0;
    _cleanup_(PQclearp) PGresult *result = TAKE_PTR(s->result);
    if (!store_result_good(result)) {
        r = store_result_error(s->conn, result, &err);
        store_result_sqlstate(s->conn, result, s->sqlstate);
        s->no_names |= s->active && s->active->often && sqlstate_is_of_prepared(s->sqlstate);
    }
    timer_disarm(s->timer);
    timer_disarm(s->deadline);
    bool prepared = s->preparing && r == 0;
    s->preparing = false;
    if (prepared) {
        s->prepared[s->n_prepared++] = s->active->sql;
        store_send_active(s);
    } else if (s->state == STORE_SETTING_UP) {
        store_set_up_part_done(s, r, &err);
    } else if (r == -ENOTCONN) {
        store_lost(s, &err);
    } else {
        StoreQuery *q = TAKE_PTR(s->active);
        if (q)
            query_finish(q, r, r < 0 ? NULL : store_rows_from(result), &err);
    }
    error_done(&err);
}

static bool result_failed(const PGresult *result)
{
    return PQresultStatus(result) == PGRES_FATAL_ERROR || PQresultStatus(result) == PGRES_BAD_RESPONSE;
}

static void store_take_notices(Store *s)
{
    for (PGnotify *n = PQnotifies(s->conn); n; n = PQnotifies(s->conn)) {
        if (s->events.on_told)
            s->events.on_told(s, n->relname, s->userdata);
        PQfreemem(n);
    }
}

static void store_read(Store *s)
{
    if (!PQconsumeInput(s->conn)) {
        store_lost_libpq(s);
        return;
    }
    store_take_notices(s);
    bool busy = s->active || s->state == STORE_SETTING_UP;
    while (busy && !PQisBusy(s->conn)) {
        PGresult *next = PQgetResult(s->conn);
        if (!next) {
            store_statement_done(s);
            store_send_next(s);
            return;
        }
        if (s->result && result_failed(s->result)) {
            PQclear(next);
            continue;
        }
        PQclear(s->result);
        s->result = next;
    }
    if (!busy && PQstatus(s->conn) == CONNECTION_BAD)
        store_lost_libpq(s);
}

static void store_set_up(Store *s)
{
    s->state = STORE_SETTING_UP;
    s->script = schema_script_parts(s->schema);
    s->script_parts = 0;
    store_connected(s->conn);
    if (!s->script || PQsetnonblocking(s->conn, 1) < 0)
        store_lost_libpq(s);
    else
        store_send_script(s);
}

static void store_connect_poll(Store *s)
{
    /* libpq may close the socket and open another with the same number: the old watch has to go first */
    s->io = sd_event_source_disable_unref(s->io);
    PostgresPollingStatusType poll = PQconnectPoll(s->conn);
    int r = 0;
    if (poll == PGRES_POLLING_OK)
        store_set_up(s);
    else if (poll == PGRES_POLLING_READING)
        r = store_watch(s, EPOLLIN);
    else if (poll == PGRES_POLLING_WRITING)
        r = store_watch(s, EPOLLOUT);
    else
        r = -ENOTCONN;
    if (r < 0)
        store_lost_libpq(s);
}

static int on_store_io(sd_event_source *source _unused_, int fd _unused_, uint32_t revents, void *userdata)
{
    Store *s = userdata;
    if (s->state == STORE_CONNECTING) {
        store_connect_poll(s);
        return 0;
    }
    if ((revents & EPOLLOUT) && store_flush(s) < 0) {
        store_lost_libpq(s);
        return 0;
    }
    if (revents & (EPOLLIN | EPOLLHUP | EPOLLERR))
        store_read(s);
    return 0;
}

static void store_connect(Store *s)
{
    s->state = STORE_CONNECTING;
    s->conn = store_connect_start(s->conninfo, s->schema);
    if (!s->conn || PQstatus(s->conn) == CONNECTION_BAD || store_watch(s, EPOLLOUT) < 0 ||
        timer_arm(s->event, &s->timer, CONNECT_DEADLINE, on_deadline, s) < 0)
        store_lost_libpq(s);
}

static int on_kick(sd_event_source *source, void *userdata)
{
    Store *s = userdata;
    (void) sd_event_source_set_enabled(source, SD_EVENT_OFF);
    if (s->unsent)
        store_lost_libpq(s);
    else
        store_send_next(s);
    return 0;
}

/* At once where nothing is before it, which saves a turn of the loop; nobody is called back from here. */
static void store_put(Store *s, StoreQuery *q)
{
    if (!s->active && !s->first) {
        s->active = q;
        s->unsent = !store_try_active(s);
    } else {
        if (s->last)
            s->last->next = q;
        else
            s->first = q;
        s->last = q;
        s->n_waiting++;
    }
    if ((s->unsent || !s->active) && sd_event_source_set_enabled(s->kick, SD_EVENT_ONESHOT) < 0)
        sd_event_exit(s->event, -ENOMEM); /* it would wait for ever */
}

int store_new(sd_event *event, const char *conninfo, const StoreSchema *schema, const StoreEvents *events,
              void *userdata, Store **ret, Error *err)
{
    int r = store_check_conninfo(conninfo, schema, err);
    if (r < 0)
        return r;
    _cleanup_(store_freep) Store *s = calloc(1, sizeof(*s));
    if (!s)
        return error_from_errno(err, -ENOMEM, "preparing the database connection");
    s->event = sd_event_ref(event);
    s->conninfo = strdup(conninfo);
    s->schema = schema;
    s->events = *events;
    s->userdata = userdata;
    s->backoff = (Backoff) {
        .base_usec = 200 * USEC_PER_MSEC,
        .cap_usec = 10 * USEC_PER_SEC,
        .stable_usec = 10 * USEC_PER_SEC,
    };
    if (!s->conninfo)
        return error_from_errno(err, -ENOMEM, "preparing the database connection");
    r = sd_event_add_defer(event, &s->kick, on_kick, s);
    if (r >= 0)
        r = sd_event_source_set_enabled(s->kick, SD_EVENT_OFF);
    if (r >= 0)
        r = timer_arm(event, &s->timer, 0, on_retry, s);
    if (r < 0)
        return error_from_errno(err, r, "preparing the database connection");
    *ret = TAKE_PTR(s);
    return 0;
}

Store *store_free(Store *s)
{
    if (!s)
        return NULL;
    store_drop_connection(s);
    query_destroy(s->active);
    for (StoreQuery *q = query_pop(s); q; q = query_pop(s))
        query_destroy(q);
    sd_event_source_disable_unref(s->timer);
    sd_event_source_disable_unref(s->kick);
    sd_event_source_disable_unref(s->deadline);
    sd_event_unref(s->event);
    free(s->conninfo);
    free(s);
    return NULL;
}

void store_leave_read_only(Store *s)
{
    _cleanup_(error_done) Error err = {};
    if (s->state != STORE_UP)
        return;
    error_set(&err, ENOTCONN, "store.unavailable", "the database is read-only, try again");
    memcpy(s->sqlstate, SQLSTATE_READ_ONLY, SQLSTATE_SIZE);
    store_lost(s, &err);
}

bool store_is_up(const Store *s)
{
    return s->state == STORE_UP;
}

const char *store_sqlstate(const Store *s)
{
    return s->sqlstate;
}

bool store_is_busy(const Store *s)
{
    return s->state != STORE_UP || s->n_waiting > s->schema->queries_max / 2;
}

int store_query(Store *s, Statement st, store_done_t on_done, void *userdata, StoreQuery **ret, Error *err)
{
    if (s->state != STORE_UP)
        return error_set(err, ENOTCONN, "store.unavailable", "the database does not answer, try again");
    if (s->n_waiting >= s->schema->queries_max)
        return error_set(err, ENOBUFS, "store.busy", "too many requests wait for the database, try again");
    StoreQuery *q = calloc(1, sizeof(*q));
    char **params = statement_params(&st);
    if (!q || !params) {
        free(q);
        free(params);
        return error_from_errno(err, -ENOMEM, "asking the database");
    }
    *q = (StoreQuery) { s, st.sql, params, st.n, st.often, on_done, userdata, NULL };
    store_put(s, q);
    if (ret)
        *ret = q;
    return 0;
}

StoreQuery *store_query_free(StoreQuery *q)
{
    if (!q)
        return NULL;
    q->on_done = NULL;
    Store *s = q->store;
    StoreQuery *before = NULL;
    for (StoreQuery *i = s->first; i; before = i, i = i->next) {
        if (i != q)
            continue;
        if (before)
            before->next = q->next;
        else
            s->first = q->next;
        if (s->last == q)
            s->last = before;
        s->n_waiting--;
        return query_destroy(q);
    }
    return NULL; /* sent: freed when its answer is there */
}

bool store_refused_for_good(const Store *s, int r)
{
    /* data exceptions, and violations of integrity */
    return r == -EEXIST || (r == -EIO && (str_starts(s->sqlstate, "22") || str_starts(s->sqlstate, "23")));
}

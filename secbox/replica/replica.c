/* SPDX-License-Identifier: MIT */
#include "secbox/replica/replica.h"

#include <errno.h>
#include <string.h>

#include "lib/base/encode.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/event/daemon.h"
#include "lib/tunnel/message.h"
#include "secbox/replica/replica-impl.h"
#include "secbox/replica/replica-sql.h"
#include "secbox/replica/schema.h"

#define RETRY_DELAY USEC_PER_SEC
/* how often a database that was read-only is asked whether it still is */
#define RENEW_INTERVAL (10 * USEC_PER_SEC)
#define SCHEMA_OF_ROWS 1
/* for how long a snapshot may make no progress */
#define STALL_MAX (5 * USEC_PER_MINUTE)

void replica_enter(Replica *r, SyncInput in)
{
    int next = sync_next((int) r->state, (int) in);

    if (next < 0 || (SyncState) next == r->state)
        return;
    log_debug("replica: %s -> %s by %s", sync_state_name((int) r->state), sync_state_name(next),
              sync_input_name((int) in));
    r->state = (SyncState) next;
    if (r->state == SYNC_UNSERVED)
        log_notice("the gateway says that this box serves no community; what is here stays");
}

static int on_renew(sd_event_source *source, uint64_t usec, void *userdata)
{
    Replica *r = userdata;

    (void) source;
    (void) usec;
    if (r->database == DATABASE_READ_ONLY)
        store_leave_read_only(r->store);
    return 0;
}

void replica_set_database(Replica *r, DatabaseState state)
{
    if (state == DATABASE_READ_ONLY && timer_arm(r->event, &r->renew, RENEW_INTERVAL, on_renew, r) < 0)
        sd_event_exit(r->event, -ENOMEM);
    if (r->database == state)
        return;
    r->database = state;
    if (state == DATABASE_UP)
        log_notice("the database is there");
    else if (state != DATABASE_CONNECTING)
        log_warning("the database is %s", database_state_help(state));
    r->events.on_change(r, r->userdata);
}

void replica_lose(Replica *r)
{
    r->generation++;
    r->snapshot.active = false;
    r->overflowed = false;
    sync_inbox_clear(&r->inbox);
    sync_inbox_clear(&r->held);
    r->ask = sd_event_source_disable_unref(r->ask);
    replica_enter(r, SYNC_IN_LOST);
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata)
{
    Replica *r = userdata;

    (void) source;
    (void) usec;
    r->retry = sd_event_source_disable_unref(r->retry);
    replica_pump(r);
    return 0;
}

void replica_pause(Replica *r)
{
    replica_lose(r);
    usec_t delay = RETRY_DELAY + backoff_next(&r->pause_backoff, random_u64(), 0, 0);
    if (timer_arm(r->event, &r->retry, delay, on_retry, r) < 0)
        sd_event_exit(r->event, -ENOMEM); /* without the timer it would stay behind for ever */
}

void replica_send(Replica *r, cJSON *message)
{
    int result = message ? r->events.send(message, r->userdata) : -ENOMEM;

    if (result >= 0)
        return;
    log_warning("the gateway cannot be told about the replica (%s); it is tried again", strerror(-result));
    replica_pause(r);
}

int replica_begin_query(Replica *r, Statement st, store_done_t on_done)
{
    _cleanup_(error_done) Error err = {};
    int result = store_query(r->store, st, on_done, r, &r->query, &err);

    r->query_generation = r->generation;
    if (result < 0)
        replica_pause(r);
    return result;
}

/* A statement that the data are to blame for is refused; anything else is the database's state. */
static void query_failed(Replica *r, const Error *err)
{
    const char *sqlstate = store_sqlstate(r->store);
    DatabaseState state = database_state_when_failed(sqlstate);

    if (state == DATABASE_UP && (str_starts(sqlstate, "22") || str_starts(sqlstate, "23"))) {
        log_failure(LOG_LEVEL_WARNING, NULL, err, -EBADMSG, "community data cannot be stored, asking for them again");
        replica_refuse(r, "schema", 0);
        return;
    }
    log_failure(LOG_LEVEL_WARNING, NULL, err, -EIO, "the replica stays as it is for now");
    if (state != DATABASE_UP)
        replica_set_database(r, state);
    replica_pause(r);
}

int replica_end_query(Replica *r, int result, const Error *err)
{
    r->query = NULL;
    if (result == -ENOTCONN)
        return result; /* on_down has seen to it */
    if (result < 0 && r->query_generation == r->generation)
        query_failed(r, err);
    if (result >= 0 && r->database != DATABASE_READ_ONLY)
        replica_set_database(r, DATABASE_UP); /* that can be read says nothing of one that is read-only */
    return result;
}

static void send_have(Replica *r)
{
    _cleanup_(cJSON_Deletep) cJSON *have = message_new("sync.have");

    if (!have || json_add_int(have, "schema", SCHEMA_OF_ROWS) < 0 ||
        json_add_u64(have, "version", r->at.known ? r->at.version : 0) < 0 ||
        json_add_string(have, "epoch", r->at.known ? r->at.epoch : NULL) < 0 ||
        json_add_string(have, "community", r->at.known ? r->at.community : NULL) < 0) {
        replica_pause(r);
        return;
    }
    replica_send(r, TAKE_PTR(have));
}

static void on_cursor(StoreQuery *q, int result, const StoreRows *rows, const Error *err, void *userdata)
{
    Replica *r = userdata;
    const char *community = result < 0 ? NULL : store_rows_get(rows, 0, 0), *epoch;

    (void) q;
    if (replica_end_query(r, result, err) < 0)
        return;
    r->at = (SyncCursor) {};
    if (community && (epoch = store_rows_get(rows, 0, 1)) && strlen(community) < UUID_SIZE &&
        strlen(epoch) < UUID_SIZE && store_rows_u64(rows, 0, 2, INT64_MAX, &r->at.version) >= 0) {
        memcpy(r->at.community, community, strlen(community) + 1);
        memcpy(r->at.epoch, epoch, strlen(epoch) + 1);
        r->at.known = true;
    }
    r->loaded = true;
    replica_set_database(r, str_equal(store_rows_get(rows, 0, 8), "on") ? DATABASE_READ_ONLY : DATABASE_UP);
    r->events.on_change(r, r->userdata);
    replica_pump(r);
}

void replica_pump(Replica *r)
{
    while (!r->query && store_is_up(r->store) && !r->retry) {
        if (!r->loaded) {
            (void) replica_begin_query(r, sql_replica_cursor(), on_cursor);
            return;
        }
        if (!r->tunnel_up || r->database == DATABASE_READ_ONLY)
            return;
        if (r->state == SYNC_AWAY) {
            replica_enter(r, SYNC_IN_READY);
            send_have(r);
            continue;
        }
        SyncItem *item = sync_inbox_pop(&r->inbox);
        if (!item) {
            if (!r->overflowed || sync_holds_deltas(r->state))
                return;
            r->overflowed = false;
            replica_refuse(r, "gap", 0);
            return;
        }
        if (replica_step(r, item))
            return;
    }
}

static void on_store_up(Store *s, void *userdata)
{
    (void) s;
    replica_pump(userdata);
}

static void on_store_down(Store *s, usec_t retry_in, const Error *err, void *userdata)
{
    Replica *r = userdata;
    DatabaseState state = database_state_when_down(store_sqlstate(s));

    (void) retry_in;
    if (r->database != state)
        log_failure(LOG_LEVEL_WARNING, NULL, err, -ENOTCONN, "no database, it is tried again");
    r->loaded = false;
    replica_lose(r);
    replica_set_database(r, state);
}

static const StoreEvents store_events = { .on_up = on_store_up, .on_down = on_store_down };

int replica_new(sd_event *event, const char *database_url, const ReplicaEvents *events, void *userdata, Replica **ret,
                Error *err)
{
    _cleanup_(replica_freep) Replica *r = calloc(1, sizeof(*r));

    if (!r)
        return error_from_errno(err, -ENOMEM, "cannot start the replica");
    r->event = sd_event_ref(event);
    r->events = *events;
    r->userdata = userdata;
    r->database = DATABASE_CONNECTING;
    r->inbox.n_max = r->held.n_max = REPLICA_MESSAGES_MAX;
    r->inbox.bytes_max = r->held.bytes_max = REPLICA_BYTES_MAX;
    r->batch.n_max = REPLICA_MESSAGES_MAX;
    r->batch.bytes_max = REPLICA_BATCH_BYTES_MAX;
    r->pause_backoff = (Backoff) { .base_usec = USEC_PER_SEC, .cap_usec = 5 * USEC_PER_MINUTE };
    r->ask_backoff = (Backoff) { .base_usec = 2 * USEC_PER_SEC, .cap_usec = 10 * USEC_PER_MINUTE };
    int result = store_new(event, database_url, &replica_schema, &store_events, r, &r->store, err);
    if (result < 0)
        return result;
    *ret = TAKE_PTR(r);
    return 0;
}

Replica *replica_free(Replica *r)
{
    if (!r)
        return NULL;
    store_query_free(r->query);
    store_query_free(r->release);
    store_free(r->store);
    sync_inbox_clear(&r->inbox);
    sync_inbox_clear(&r->held);
    sync_inbox_clear(&r->batch);
    free(r->item);
    sd_event_source_disable_unref(r->retry);
    sd_event_source_disable_unref(r->ask);
    sd_event_source_disable_unref(r->renew);
    sd_event_unref(r->event);
    free(r);
    return NULL;
}

void replica_tunnel_up(Replica *r)
{
    replica_lose(r);
    r->tunnel_up = true;
    replica_pump(r);
}

void replica_tunnel_down(Replica *r)
{
    r->tunnel_up = false;
    replica_lose(r);
}

bool replica_take(Replica *r, const cJSON *message, const char *text)
{
    SyncMessage m;
    _cleanup_(error_done) Error err = {};
    int result = sync_message_read(message, &m, &err);

    if (result == -ENOMSG)
        return false;
    if (!r->tunnel_up || r->state == SYNC_AWAY)
        return true;
    if (result < 0) {
        log_failure(LOG_LEVEL_WARNING, NULL, &err, result, "asking the gateway for the data again");
        replica_refuse(r, "schema", 0);
        return true;
    }
    bool rows = m.kind == SYNC_ROWS || m.kind == SYNC_DELTA;
    if (sync_inbox_push(&r->inbox, &m, rows ? text : NULL) < 0)
        r->overflowed = true;
    replica_pump(r);
    return true;
}

const SyncCursor *replica_cursor(const Replica *r)
{
    return &r->at;
}

SyncState replica_state(const Replica *r)
{
    return r->state;
}

DatabaseState replica_database(const Replica *r)
{
    return r->database;
}

const SyncSum *replica_expected(const Replica *r, SyncTable t)
{
    return sync_check_applies(&r->at, &r->check) && r->check.tables & (1U << t) ? &r->check.sums[t] : NULL;
}

int replica_query(Replica *r, Statement st, store_done_t on_done, void *userdata, StoreQuery **ret, Error *err)
{
    return store_query(r->store, st, on_done, userdata, ret, err);
}

static void on_released(StoreQuery *q, int result, const StoreRows *rows, const Error *err, void *userdata)
{
    Replica *r = userdata;
    bool released = result >= 0 && store_rows_count(rows) > 0;

    (void) q;
    r->release = NULL;
    if (released)
        r->events.on_data(r, r->userdata);
    r->on_released(result, released, err, r->released_userdata);
}

int replica_release(Replica *r, const char *ban, replica_released_t on_done, void *userdata, Error *err)
{
    if (r->release)
        return error_set(err, EBUSY, "sync.busy", "another ban is being released, try again");
    r->on_released = on_done;
    r->released_userdata = userdata;
    return store_query(r->store, sql_replica_release(ban), on_released, r, &r->release, err);
}

static cJSON *resnapshot_message(const Replica *r, const char *reason, unsigned tables)
{
    _cleanup_(cJSON_Deletep) cJSON *m = message_new("sync.resnapshot");
    cJSON *names = NULL;

    if (!m || json_add_string(m, "reason", reason) < 0)
        return NULL;
    if (tables && tables != SYNC_ALL_TABLES && !(names = cJSON_AddArrayToObject(m, "tables")))
        return NULL;
    for (int t = 0; names && t < _SYNC_TABLES; t++)
        if (tables & (1U << t) && json_append(names, cJSON_CreateString(sync_table_name((SyncTable) t))) < 0)
            return NULL;
    if (r->at.known && (json_add_string(m, "epoch", r->at.epoch) < 0 || json_add_u64(m, "version", r->at.version) < 0))
        return NULL;
    return TAKE_PTR(m);
}

static int on_ask(sd_event_source *source, uint64_t usec, void *userdata)
{
    Replica *r = userdata;

    (void) source;
    (void) usec;
    r->ask = sd_event_source_disable_unref(r->ask);
    if (r->state == SYNC_ASKED)
        replica_refuse(r, r->asked_reason, r->asked_tables);
    else if (r->state == SYNC_LOADING && r->snapshot.next == r->snapshot.seen && !r->query)
        replica_refuse(r, "gap", 0);
    else if (r->state == SYNC_LOADING)
        replica_expect_rows(r);
    return 0;
}

void replica_expect_rows(Replica *r)
{
    r->snapshot.seen = r->snapshot.next;
    if (timer_arm(r->event, &r->ask, STALL_MAX, on_ask, r) < 0)
        sd_event_exit(r->event, -ENOMEM);
}

/* The first time at once; then at growing distances until a snapshot has been applied, as long as none begins. */
void replica_refuse(Replica *r, const char *reason, unsigned tables)
{
    usec_t now = boottime_usec();
    bool too_soon = now < r->next_ask;

    r->snapshot.active = false;
    r->asked_reason = reason;
    r->asked_tables = tables;
    replica_enter(r, SYNC_IN_REFUSED);
    if (!too_soon)
        r->next_ask = now + USEC_PER_SEC + backoff_next(&r->ask_backoff, random_u64(), 0, 0);
    if (timer_arm(r->event, &r->ask, r->next_ask - now, on_ask, r) < 0)
        sd_event_exit(r->event, -ENOMEM);
    if (too_soon)
        return;
    log_notice("asking the gateway for %s again: %s", tables && tables != SYNC_ALL_TABLES ? "some tables" : "all data",
               reason);
    replica_send(r, resnapshot_message(r, reason, tables));
}

int replica_resync(Replica *r, unsigned tables, Error *err)
{
    if (!r->loaded || r->database == DATABASE_READ_ONLY)
        return error_set(err, ENOTCONN, "sync.no-database", "the database is %s", database_state_help(r->database));
    if (!r->tunnel_up || r->state == SYNC_AWAY)
        return error_set(err, ENOTCONN, "sync.no-gateway",
                         "the gateway is not connected: try again when the tunnel is up");
    r->next_ask = 0;
    replica_refuse(r, "operator", tables);
    return 0;
}

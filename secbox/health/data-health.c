/* SPDX-License-Identifier: MIT */
/* Each look asks the database, whose answer is looked at in turn. */
#include "secbox/health/data-health.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fileio.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/data/network-values.h"
#include "lib/tunnel/health-reporter.h"
#include "secbox/health/data-faults.h"
#include "secbox/queue/queue-sql.h"
#include "secbox/replica/replica-sql.h"

#define NET_FILE "/proc/self/net/dev"
#define SECONDS_PER_DAY (24 * 60 * 60)
#define NET_FILE_MAX ((size_t) 64 * 1024)

struct DataHealth {
    DataHealthParts parts;
    HealthReporter *reporter;
    usec_t started; /* wall clock */
    unsigned connections;
    cJSON *replica, *queue; /* what the database has answered last; NULL: nothing, or it is away */
    StoreQuery *replica_query, *queue_query;
    bool answered; /* since the last look */
    bool wanted;   /* something has changed since the database was asked */
};

static bool database_is_up(const DataHealth *h)
{
    return h->parts.replica && replica_database(h->parts.replica) == DATABASE_UP;
}

/* Adds a number that the database gave as text. */
static int add_number(cJSON *o, const char *key, const StoreRows *rows, unsigned column)
{
    uint64_t n = 0;

    if (store_rows_u64(rows, 0, column, UINT32_MAX, &n) < 0)
        return 0;
    return cJSON_AddNumberToObject(o, key, (double) n) ? 0 : -ENOMEM;
}

static void look_at_answer(DataHealth *h)
{
    h->answered = true;
    health_reporter_look(h->reporter);
}

static void on_replica(StoreQuery *query _unused_, int r, const StoreRows *rows, const Error *err _unused_,
                       void *userdata)
{
    DataHealth *h = userdata;
    _cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();

    h->replica_query = NULL;
    cJSON_Delete(TAKE_PTR(h->replica));
    if (r >= 0 && o && store_rows_get(rows, 0, 0) && json_add_string(o, "appliedAt", store_rows_get(rows, 0, 3)) == 0 &&
        add_number(o, "bans", rows, 5) == 0 && add_number(o, "unconfirmedBans", rows, 6) == 0 &&
        add_number(o, "ageSeconds", rows, 7) == 0)
        h->replica = TAKE_PTR(o);
    look_at_answer(h);
}

static void on_queue(StoreQuery *query _unused_, int r, const StoreRows *rows, const Error *err _unused_,
                     void *userdata)
{
    DataHealth *h = userdata;
    const char *text = r < 0 ? NULL : store_rows_get(rows, 0, 0);

    h->queue_query = NULL;
    cJSON_Delete(TAKE_PTR(h->queue));
    if (text && json_parse_object(text, strlen(text), &h->queue, NULL) >= 0)
        cJSON_DeleteItemFromObjectCaseSensitive(h->queue, "byPriority");
    look_at_answer(h);
}

static void ask_database(DataHealth *h)
{
    bool waits = h->replica_query || h->queue_query;
    const SyncCursor *at;

    h->wanted = h->wanted && waits; /* what is under way may be about the time before */
    if (!database_is_up(h)) {
        cJSON_Delete(TAKE_PTR(h->replica));
        cJSON_Delete(TAKE_PTR(h->queue));
        return;
    }
    at = replica_cursor(h->parts.replica);
    if (!h->replica_query)
        (void) !replica_query(h->parts.replica, sql_replica_cursor(), on_replica, h, &h->replica_query, NULL);
    if (!h->queue_query)
        (void) !queue_query(h->parts.queue, sql_queue_status(at->known ? at->community : NULL), on_queue, h,
                            &h->queue_query, NULL);
}

static int add_database(const DataHealth *h, cJSON *o)
{
    DatabaseState state = h->parts.replica ? replica_database(h->parts.replica) : DATABASE_NONE;
    cJSON *database = cJSON_AddObjectToObject(o, "database");

    if (!database || json_add_string(database, "state", database_state_name(state)) < 0)
        return -ENOMEM;
    return state == DATABASE_UP ? 0 : json_add_string(database, "help", database_state_help(state));
}

static int add_replica(const DataHealth *h, cJSON *o)
{
    const SyncCursor *at = h->parts.replica ? replica_cursor(h->parts.replica) : NULL;
    cJSON *replica = !at ? NULL : h->replica ? cJSON_Duplicate(h->replica, true) : cJSON_CreateObject();

    if (!at)
        return 0;
    if (json_add_item(o, "replica", replica) < 0 ||
        json_add_string(replica, "sync", sync_state_name((int) replica_state(h->parts.replica))) < 0)
        return -ENOMEM;
    if (!at->known)
        return 0;
    return json_add_string(replica, "community", at->community) < 0 ||
                   json_add_string(replica, "epoch", at->epoch) < 0 || json_add_u64(replica, "version", at->version) < 0
               ? -ENOMEM
               : 0;
}

/* As whole days, so that it is news once a day. */
static int add_certificate(const DataHealth *h, cJSON *lan)
{
    uint64_t until = h->parts.certificate_until ? h->parts.certificate_until(h->parts.userdata) : 0;
    int64_t left = (int64_t) until - (int64_t) (realtime_usec() / USEC_PER_SEC);

    if (until == 0)
        return 0;
    return json_add_int(lan, "certificateDays", left < 0 ? -1 : (int) (left / SECONDS_PER_DAY));
}

static int add_rest(const DataHealth *h, cJSON *o)
{
    cJSON *lan = h->parts.lan_serves ? cJSON_AddObjectToObject(o, "lan") : NULL;
    cJSON *tunnel = cJSON_AddObjectToObject(o, "tunnel");

    if (h->parts.lan_serves && (!lan || json_add_bool(lan, "serving", h->parts.lan_serves(h->parts.userdata)) < 0 ||
                                add_certificate(h, lan) < 0))
        return -ENOMEM;
    if (!tunnel || json_add_int(tunnel, "connections", (int) h->connections) < 0)
        return -ENOMEM;
    return h->queue ? json_add_item(o, "queue", cJSON_Duplicate(h->queue, true)) : 0;
}

/* Without the reason: it tells milliseconds, and would be news each time. */
static int add_cameras(const DataHealth *h, cJSON *o)
{
    cJSON *cameras = h->parts.cameras ? cameras_describe(h->parts.cameras) : NULL;

    cJSON *faces = h->parts.cameras && h->parts.faces ? h->parts.faces(h->parts.userdata) : NULL;

    cJSON_DeleteItemFromObjectCaseSensitive(cameras, "why");
    if (faces && json_add_item(cameras, "faces", faces) < 0) {
        cJSON_Delete(cameras);
        return -ENOMEM;
    }
    if (cameras && json_add_string(cameras, "entry", h->parts.entry_camera) < 0) {
        cJSON_Delete(cameras);
        return -ENOMEM;
    }
    return h->parts.cameras ? json_add_item(o, "cameras", cameras) : 0;
}

/* Of this container alone. */
static int add_network(cJSON *o)
{
    _cleanup_(freep) char *text = NULL;
    NetworkValues counters;

    if (file_read(NET_FILE, NET_FILE_MAX, &text, NULL, NULL) < 0 || network_values_parse(text, false, &counters) < 0)
        return 0;
    return network_values_describe(&counters, o, "ownNetwork");
}

static cJSON *gather(void *userdata)
{
    DataHealth *h = userdata;
    _cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();

    if (!h->answered || h->wanted || !database_is_up(h))
        ask_database(h);
    h->answered = false;
    if (!o || health_add_origin(o, "startedAt", h->started) < 0 || add_database(h, o) < 0 || add_replica(h, o) < 0 ||
        add_rest(h, o) < 0 || add_cameras(h, o) < 0 || add_network(o) < 0 ||
        json_add_item(o, "faults", data_faults(o, h->parts.old_seconds)) < 0)
        return NULL;
    return TAKE_PTR(o);
}

static int send_report(const cJSON *message, void *userdata)
{
    const DataHealth *h = userdata;

    return h->parts.send(message, h->parts.userdata);
}

void data_health_look(DataHealth *h)
{
    if (!h)
        return;
    h->wanted = true;
    health_reporter_look(h->reporter);
}

void data_health_tunnel_up(DataHealth *h)
{
    if (!h)
        return;
    h->connections++;
    health_reporter_connected(h->reporter);
}

void data_health_tunnel_down(DataHealth *h)
{
    health_reporter_disconnected(h ? h->reporter : NULL);
}

bool data_health_take(DataHealth *h, const cJSON *message)
{
    if (!h || !str_equal(json_string(message, "type"), "health.ack"))
        return false;
    health_reporter_take_ack(h->reporter, message);
    return true;
}

const cJSON *data_health_values(const DataHealth *h)
{
    return health_reporter_values(h ? h->reporter : NULL);
}

int data_health_new(sd_event *event, const DataHealthParts *parts, DataHealth **ret, Error *err)
{
    static const HealthReporterEvents events = { gather, send_report };
    DataHealth *h = calloc(1, sizeof(*h));
    int r = h ? 0 : -ENOMEM;

    if (h) {
        *h = (DataHealth) { .parts = *parts, .started = realtime_usec() };
        r = health_reporter_new(event, 1, &events, h, &h->reporter);
    }
    if (r < 0) {
        data_health_free(h);
        return error_from_errno(err, r, "cannot look after this secbox's health");
    }
    *ret = h;
    return 0;
}

DataHealth *data_health_free(DataHealth *h)
{
    if (!h)
        return NULL;
    health_reporter_free(h->reporter);
    store_query_free(h->replica_query);
    store_query_free(h->queue_query);
    cJSON_Delete(h->replica);
    cJSON_Delete(h->queue);
    free(h);
    return NULL;
}

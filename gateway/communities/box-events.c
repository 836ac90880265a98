/* SPDX-License-Identifier: MIT */
/* A box keeps an event until it is confirmed, so nothing is kept here that the database has not taken: a box whose events it did
 * not take loses its tunnel once the database is back, and sends them again. */
#include "gateway/communities/box-events.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "gateway/communities/api-communities.h"
#include "gateway/store/events-table.h"
#include "lib/base/log.h"
#include "lib/base/map.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/tunnel/message.h"

#define EVENTS_MAX 200
#define PUSHES_MAX 256 /* that wait for the database; of one box: */
#define BOX_PUSHES_MAX 8
#define KIND_SIZE_MAX 64
#define TIDY_INTERVAL USEC_PER_HOUR
#define TIDY_STEP 500 /* so that no statement holds up the others */
#define LIMIT_MAX 1000
#define LIMIT 100

struct BoxEvents {
    Store *store;
    Requests *requests;
    DeviceConns *conns;
    BoxEventsListener listener;
    Map *lost;   /* devices whose events were not stored */
    Map *pushes; /* what waits for the database, by its number; owned */
    uint64_t numbers;
    unsigned days;
    usec_t tidied; /* when old events were looked for; 0: there may be more */
    StoreQuery *removal;
};

/* One events.push on its way into the database. */
typedef struct EventsPush {
    BoxEvents *owner;
    char key[24];
    char *device;
    uint64_t connection;
    cJSON *rejected; /* array */
    StoreQuery *query;
} EventsPush;

static void push_free(void *push)
{
    EventsPush *p = push;
    p->query = store_query_free(p->query);
    cJSON_Delete(p->rejected);
    free(p->device);
    free(p);
}

static const char *sentence(const char *id)
{
    if (str_equal(id, "event.taken"))
        return "another box has sent an event with this clientId";
    if (str_equal(id, "event.community"))
        return "the box has never served this community";
    return "an event needs a clientId (a UUID version 7), a kind, at (RFC 3339), a community and, where there is one, "
           "an object"
           " as data";
}

static int reject(cJSON *rejected, const char *client_id, const char *id)
{
    _cleanup_(cJSON_Deletep) cJSON *entry = cJSON_CreateObject(), *error = cJSON_CreateObject();
    int r = json_add_string(entry, "clientId", client_id);
    if (r >= 0)
        r = json_add_string(error, "id", id);
    if (r >= 0)
        r = json_add_string(error, "message", sentence(id));
    if (r >= 0)
        r = json_add_item(entry, "error", TAKE_PTR(error));
    return r < 0 ? r : json_append(rejected, TAKE_PTR(entry));
}

static bool kind_is_valid(const char *kind)
{
    size_t len = kind ? strlen(kind) : 0;
    return len > 0 && len <= KIND_SIZE_MAX && strspn(kind, "abcdefghijklmnopqrstuvwxyz0123456789.-") == len;
}

static bool event_is_valid(const cJSON *event)
{
    char id[UUID_SIZE];
    const cJSON *data = cJSON_GetObjectItemCaseSensitive(event, "data");
    return uuid_parse(json_string(event, "clientId"), id) >= 0 && id[UUID_VERSION_AT] == '7' &&
           uuid_parse(json_string(event, "community"), id) >= 0 && kind_is_valid(json_string(event, "kind")) &&
           row_time_is_valid(json_string(event, "at")) && (!data || cJSON_IsObject(data));
}

/* What is stored of an event, and its place among the others. */
static int take_event(cJSON *list, const cJSON *event, int n)
{
    static const char *const names[] = { "clientId", "kind", "at", "community" };
    _cleanup_(cJSON_Deletep) cJSON *kept = cJSON_CreateObject();
    const cJSON *data = cJSON_GetObjectItemCaseSensitive(event, "data");
    int r = json_add_int(kept, "n", n);
    for (size_t i = 0; i < ELEMENTSOF(names) && r >= 0; i++)
        r = json_add_string(kept, names[i], json_string(event, names[i]));
    if (r >= 0)
        r = json_add_item(kept, "data", data ? cJSON_Duplicate(data, true) : cJSON_CreateObject());
    return r < 0 ? r : json_append(list, TAKE_PTR(kept));
}

/* Sorts the good ones from the others; the text of the good ones, or NULL. */
static char *sort_events(const cJSON *events, cJSON *rejected)
{
    _cleanup_(cJSON_Deletep) cJSON *list = cJSON_CreateArray();
    const cJSON *event;
    int n = 0, r = list ? 0 : -ENOMEM;
    cJSON_ArrayForEach(event, events) {
        const char *id = json_string(event, "clientId");
        if (r >= 0 && event_is_valid(event))
            r = take_event(list, event, n++);
        else if (r >= 0 && id && strlen(id) <= KIND_SIZE_MAX)
            r = reject(rejected, id, "event.malformed");
    }
    return r < 0 ? NULL : json_print(list);
}

static int send_ack(EventsPush *p, const StoreRows *rows)
{
    DeviceConn *s = device_conn_find(p->owner->conns, p->device, ROLE_DEVICE);
    _cleanup_(cJSON_Deletep) cJSON *m = message_new("events.ack");
    cJSON *accepted = m ? cJSON_AddArrayToObject(m, "accepted") : NULL;
    int r = accepted ? 0 : -ENOMEM;
    for (size_t i = 0; r >= 0 && i < store_rows_count(rows); i++) {
        const char *id = store_rows_get(rows, i, 0), *error = store_rows_get(rows, i, 1);
        r = error ? reject(p->rejected, id, error) : json_append(accepted, cJSON_CreateString(id));
    }
    if (r >= 0)
        r = json_add_item(m, "rejected", TAKE_PTR(p->rejected));
    if (r < 0 || !s || device_conn_number(s) != p->connection)
        return r; /* it sends them again when it is back */
    return device_conn_send(s, m);
}

static void lose(BoxEvents *be, const char *device)
{
    if (map_put(be->lost, device, be) < 0)
        device_conns_close(be->conns, device, ROLE_DEVICE, WS_CLOSE_TRY_LATER, "events were not stored");
}

/* The rows of one community mostly come one behind the other. */
static void tell_readers(const EventsPush *p, const StoreRows *rows)
{
    const char *told = NULL;
    for (size_t i = 0; i < store_rows_count(rows); i++) {
        const char *community = store_rows_get(rows, i, 2);
        if (store_rows_get(rows, i, 1) || str_equal(community, told))
            continue;
        requests_tell(p->owner->requests, p, "events/%s", community);
        p->owner->listener.on_stored(community, p->owner->listener.userdata);
        told = community;
    }
}

static void on_stored(StoreQuery *q _unused_, int r, const StoreRows *rows, const Error *err, void *userdata)
{
    EventsPush *p = userdata;
    BoxEvents *be = p->owner;
    p->query = NULL;
    if (r >= 0)
        r = send_ack(p, rows);
    if (r < 0) {
        log_failure(LOG_LEVEL_WARNING, NULL, err, r, "events of %s are not confirmed, it will send them again",
                    p->device);
        lose(be, p->device);
    } else {
        tell_readers(p, rows);
    }
    map_remove(be->pushes, p->key);
}

static EventsPush *push_new(BoxEvents *be, const DeviceConn *s)
{
    EventsPush *p = calloc(1, sizeof(*p));
    if (!p)
        return NULL;
    p->owner = be;
    (void) snprintf(p->key, sizeof(p->key), "%llx", (unsigned long long) be->numbers++);
    p->device = strdup(device_conn_device(s));
    p->connection = device_conn_number(s);
    p->rejected = cJSON_CreateArray();
    if (!p->device || !p->rejected || map_put(be->pushes, p->key, p) < 0) {
        push_free(p);
        return NULL;
    }
    return p;
}

/* A box sends on while these wait, so their number is bounded. */
static bool too_many(const BoxEvents *be, const char *device)
{
    size_t n = 0;
    void *value;
    for (size_t i = 0; map_next(be->pushes, &i, NULL, &value);)
        n += str_equal(((const EventsPush *) value)->device, device);
    return n >= BOX_PUSHES_MAX || map_size(be->pushes) >= PUSHES_MAX;
}

static void on_push(DeviceConn *s, const cJSON *message, void *userdata)
{
    BoxEvents *be = userdata;
    const cJSON *events = cJSON_GetObjectItemCaseSensitive(message, "events");
    if (device_conn_role(s) != ROLE_DEVICE || cJSON_GetArraySize(events) > EVENTS_MAX)
        return;
    if (too_many(be, device_conn_device(s))) {
        lose(be, device_conn_device(s));
        return;
    }
    _cleanup_(error_done) Error err = {};
    EventsPush *p = push_new(be, s);
    if (!p) {
        lose(be, device_conn_device(s));
        return;
    }
    _cleanup_(freep) char *text = sort_events(events, p->rejected);
    int r = text ? store_query(be->store, sql_events_store(p->device, text), on_stored, p, &p->query, &err) : -ENOMEM;
    if (r < 0)
        on_stored(NULL, r, NULL, &err, p);
}

static void on_removed(StoreQuery *q _unused_, int r, const StoreRows *rows, const Error *err, void *userdata)
{
    BoxEvents *be = userdata;

    be->removal = NULL;
    if (r < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, err, r, "events that are older than --event-days stay");
    else if (store_rows_count(rows) > 0)
        log_info("%zu events that came more than %u days ago are removed", store_rows_count(rows), be->days);
    if (r >= 0 && store_rows_count(rows) == TIDY_STEP)
        be->tidied = 0;
}

static void remove_old(BoxEvents *be)
{
    usec_t now = boottime_usec();

    if (be->removal || (be->tidied > 0 && now - be->tidied < TIDY_INTERVAL))
        return;
    be->tidied = now;
    if (store_query(be->store, sql_events_remove_old(be->days, TIDY_STEP), on_removed, be, &be->removal, NULL) < 0)
        be->tidied = 0;
}

void box_events_sweep(BoxEvents *be)
{
    const char *device;
    if (store_is_busy(be->store))
        return;
    for (size_t i = 0; map_next(be->lost, &i, &device, NULL);) {
        device_conns_close(be->conns, device, ROLE_DEVICE, WS_CLOSE_TRY_LATER,
                           "events were not stored: send them again");
        map_remove(be->lost, device);
    }
    remove_old(be);
}

/* What a request for events asks for. */
typedef struct EventsQuery {
    char community[UUID_SIZE];
    char *kind;
    uint64_t after, limit;
} EventsQuery;

static void events_query_free(void *query)
{
    EventsQuery *q = query;
    free(q->kind);
    free(q);
}

static void ask(Request *c);

static void on_news(Request *c, const void *news _unused_)
{
    ask(c);
}

static void on_events(Request *c, const StoreRows *rows)
{
    usec_t now = boottime_usec();
    const EventsQuery *q = c->scratch;
    if (!store_rows_true(rows, 0, 1))
        request_fail_no_community(c);
    else if (str_equal(store_rows_get(rows, 0, 2), "0") && c->poll_until > now)
        request_wait(c, c->poll_until - now, on_news, "events/%s", q->community);
    else
        request_answer_text(c, 200, store_rows_get(rows, 0, 0));
}

static void ask(Request *c)
{
    const EventsQuery *q = c->scratch;
    request_query(c, sql_events(q->community, q->kind, q->after, q->limit), on_events);
}

static void list(Request *c)
{
    char community[UUID_SIZE];
    uint64_t after, limit;
    if (request_uuid(c, 0, community) < 0 || request_query_u64(c, "after", INT64_MAX, 0, &after) < 0 ||
        request_query_u64(c, "limit", LIMIT_MAX, LIMIT, &limit) < 0 || request_query_wait(c) < 0)
        return;
    EventsQuery *q = calloc(1, sizeof(*q));
    if (!q) {
        request_fail(c, -ENOMEM, NULL);
        return;
    }
    *q = (EventsQuery) { .kind = http_query(c->exchange, "kind"), .after = after, .limit = limit > 0 ? limit : 1 };
    memcpy(q->community, community, sizeof(community));
    c->scratch = q;
    c->scratch_free = events_query_free;
    ask(c);
}

const Route box_event_routes[] = {
    { "GET", "/v1/communities/*/events", ACCESS_VIEWER, list, "what its boxes have reported" },
    {},
};

BoxEvents *box_events_new(Store *store, Requests *requests, DeviceConns *conns, const BoxEventsListener *listener,
                          unsigned days)
{
    static const DeviceMessage messages[] = { { "events.push", false, on_push }, {} };
    static const DeviceListener box_listener = { .messages = messages };
    BoxEvents *be = calloc(1, sizeof(*be));
    if (!be)
        return NULL;
    *be = (BoxEvents) {
        .store = store,
        .requests = requests,
        .conns = conns,
        .listener = *listener,
        .days = days,
        .lost = map_new(NULL),
        .pushes = map_new(push_free),
    };
    if (!be->lost || !be->pushes || device_conns_listen(conns, &box_listener, be) < 0)
        return box_events_free(be);
    return be;
}

BoxEvents *box_events_free(BoxEvents *be)
{
    if (!be)
        return NULL;
    store_query_free(be->removal);
    map_free(be->pushes);
    map_free(be->lost);
    free(be);
    return NULL;
}

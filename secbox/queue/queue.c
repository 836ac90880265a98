/* SPDX-License-Identifier: MIT */
#include "secbox/queue/queue.h"

#include <errno.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/event/daemon.h"
#include "lib/postgres/sqlstate.h"
#include "secbox/queue/queue-impl.h"
#include "secbox/queue/queue-sql.h"

/* what an event takes beside its data, about */
#define EVENT_OVERHEAD 200

static void batch_finish(QueueBatch *b, int r, const Error *err)
{
    QueueWriter *w = b->first;

    buf_done(&b->json);
    *b = (QueueBatch) { .json = BUF_INIT(QUEUE_BATCH_BYTES_MAX) };
    while (w) {
        QueueWriter *next = w->next;
        if (w->on_written)
            w->on_written(r, err, w->userdata);
        free(w);
        w = next;
    }
}

void queue_see_failure(Queue *q, int r)
{
    if (r < 0 && str_equal(store_sqlstate(q->store), SQLSTATE_READ_ONLY))
        store_leave_read_only(q->store);
}

static void commit_next(Queue *q);

static void on_written(StoreQuery *query, int r, const StoreRows *rows, const Error *err, void *userdata)
{
    Queue *q = userdata;
    QueueBatch done = q->writing;

    (void) query;
    (void) rows;
    q->writing = (QueueBatch) { .json = BUF_INIT(QUEUE_BATCH_BYTES_MAX) };
    if (r < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, err, r, "%u events are not written", done.n);
    queue_see_failure(q, r);
    commit_next(q);
    batch_finish(&done, r, err);
    if (r >= 0)
        queue_drain_soon(q);
    if (q->written_bytes > q->bytes_max / 32)
        queue_trim(q, false);
}

/* Everything that was gathered meanwhile goes into one transaction. */
static void commit_next(Queue *q)
{
    _cleanup_(error_done) Error err = {};

    if (q->writing.n > 0 || q->gathering.n == 0)
        return;
    q->writing = q->gathering;
    q->gathering = (QueueBatch) { .json = BUF_INIT(QUEUE_BATCH_BYTES_MAX) };
    int r = buf_puts(&q->writing.json, "]");
    if (r >= 0)
        r = store_query(q->store, sql_queue_write(q->writing.json.data), on_written, q, NULL, &err);
    if (r >= 0) {
        q->written_bytes += q->writing.json.len;
        return;
    }
    QueueBatch failed = q->writing;
    q->writing = (QueueBatch) { .json = BUF_INIT(QUEUE_BATCH_BYTES_MAX) };
    error_from_errno(&err, r, "events cannot be written");
    batch_finish(&failed, r, &err);
}

static int on_commit(sd_event_source *source, void *userdata)
{
    (void) sd_event_source_set_enabled(source, SD_EVENT_OFF);
    commit_next(userdata);
    return 0;
}

static int print_event(Queue *q, const QueueEvent *e, const char *client_id, Error *err)
{
    char at[TIMESTAMP_SIZE];
    QueueBatch *b = &q->gathering;
    _cleanup_(freep) char *data = json_print(e->data);

    if (!data)
        return error_from_errno(err, -ENOMEM, "an event cannot be written");
    size_t len = strlen(data);
    if (len > QUEUE_EVENT_MAX)
        return error_set(err, EMSGSIZE, "queue.too-large", "the data of an event have %zu bytes; at most %d are taken",
                         len, QUEUE_EVENT_MAX);
    timestamp_format(e->at ? e->at : realtime_usec(), at);
    /* room for the array's end */
    if (b->n >= QUEUE_BATCH_MAX || b->json.len + len + 2 * EVENT_OVERHEAD + strlen(e->kind) > QUEUE_BATCH_BYTES_MAX)
        return error_set(err, ENOBUFS, "queue.busy", "too many events wait to be written, try again");
    int r = buf_printf(&b->json,
                       "%s{\"clientId\":\"%s\",\"community\":\"%s\",\"kind\":\"%s\",\"priority\":%d,\"at\":\"%s\","
                       "\"size\":%zu,\"data\":%s}",
                       b->n == 0 ? "[" : ",", client_id, q->community, e->kind, (int) queue_priority(e->kind), at,
                       len + EVENT_OVERHEAD, data);
    return r < 0 ? error_from_errno(err, r, "an event cannot be written") : 0;
}

static int check(const Queue *q, const QueueEvent *e, Error *err)
{
    int r = queue_check_event(e->kind, e->data, err);

    if (r < 0)
        return r;
    /* the gateway takes no others */
    if (e->client_id && (!uuid_is_valid(e->client_id) || e->client_id[UUID_VERSION_AT] != '7'))
        return error_set(err, EINVAL, "queue.bad-event", "the clientId of an event must be a UUID of version 7");
    if (!q->community[0])
        return error_set(err, ENODATA, "queue.no-community",
                         "this box has not been told which community it serves: its events belong to none");
    if (!store_is_up(q->store))
        return error_set(err, ENOTCONN, "store.unavailable", "the database does not answer, try again");
    return 0;
}

int queue_write(Queue *q, const QueueEvent *e, queue_written_t on_done, void *userdata, char ret_id[UUID_SIZE],
                Error *err)
{
    char id[UUID_SIZE];
    int r = check(q, e, err);

    if (r < 0)
        return r;
    QueueWriter *w = calloc(1, sizeof(*w));
    if (!w || sd_event_source_set_enabled(q->commit, SD_EVENT_ONESHOT) < 0) {
        free(w);
        return error_from_errno(err, -ENOMEM, "an event cannot be written");
    }
    if (e->client_id)
        memcpy(id, e->client_id, UUID_SIZE);
    else
        uuid7_make(id);
    r = print_event(q, e, id, err);
    if (r < 0) {
        free(w);
        return r;
    }
    *w = (QueueWriter) { on_done, userdata, NULL };
    if (q->gathering.last)
        q->gathering.last->next = w;
    else
        q->gathering.first = w;
    q->gathering.last = w;
    q->gathering.n++;
    if (ret_id)
        memcpy(ret_id, id, UUID_SIZE);
    return 0;
}

static void on_recounted(StoreQuery *query, int r, const StoreRows *rows, const Error *err, void *userdata)
{
    (void) query;
    (void) userdata;
    if (r < 0)
        log_debug("how much waits in the queue is not counted anew: %s", error_message(err, r));
    else if (str_equal(store_rows_get(rows, 0, 0), "t"))
        log_notice("the queue was changed by somebody else: what waits in it is counted anew");
}

static void on_store_up(Store *s, void *userdata)
{
    if (store_query(s, sql_queue_recount(), on_recounted, NULL, NULL, NULL) < 0)
        log_debug("how much waits in the queue is counted anew the next time");
    queue_start_over(userdata);
}

static void on_store_down(Store *s, usec_t retry_in, const Error *err, void *userdata)
{
    (void) s;
    (void) retry_in;
    (void) err;
    (void) userdata; /* the replica tells of the database; statements under way end with their own error */
}

static const StoreEvents store_events = { .on_up = on_store_up, .on_down = on_store_down };

int queue_new(sd_event *event, const char *database_url, const StoreSchema *schema, queue_send_t send, void *userdata,
              Queue **ret, Error *err)
{
    _cleanup_(queue_freep) Queue *q = calloc(1, sizeof(*q));

    if (!q)
        return error_from_errno(err, -ENOMEM, "cannot start the queue");
    q->event = sd_event_ref(event);
    q->send = send;
    q->userdata = userdata;
    queue_set_bounds(q, QUEUE_MB_DEFAULT, QUEUE_DAYS_DEFAULT);
    q->gathering.json = q->writing.json = BUF_INIT(QUEUE_BATCH_BYTES_MAX);
    q->resend = (Backoff) { .base_usec = 30 * USEC_PER_SEC, .cap_usec = 10 * USEC_PER_MINUTE };
    int r = store_new(event, database_url, schema, &store_events, q, &q->store, err);
    if (r < 0)
        return r;
    r = sd_event_add_defer(event, &q->commit, on_commit, q);
    if (r >= 0)
        r = sd_event_source_set_enabled(q->commit, SD_EVENT_OFF);
    if (r >= 0)
        r = queue_start_timers(q);
    if (r < 0)
        return error_from_errno(err, r, "cannot start the queue");
    *ret = TAKE_PTR(q);
    return 0;
}

static void batch_forget(QueueBatch *b)
{
    for (QueueWriter *w = b->first; w;) {
        QueueWriter *next = w->next;
        free(w);
        w = next;
    }
    buf_done(&b->json);
}

Queue *queue_free(Queue *q)
{
    if (!q)
        return NULL;
    store_free(q->store);
    batch_forget(&q->gathering);
    batch_forget(&q->writing);
    sd_event_source_disable_unref(q->commit);
    sd_event_source_disable_unref(q->ack_timer);
    sd_event_source_disable_unref(q->look_timer);
    sd_event_source_disable_unref(q->tick_timer);
    sd_event_source_disable_unref(q->gather_timer);
    sd_event_unref(q->event);
    free(q);
    return NULL;
}

void queue_set_bounds(Queue *q, unsigned megabytes, unsigned days)
{
    q->bytes_max = (size_t) megabytes * 1024 * 1024;
    q->days_max = days;
}

void queue_set_community(Queue *q, const char *community)
{
    if (str_equal(q->community, community ? community : ""))
        return;
    memset(q->community, 0, sizeof(q->community));
    if (community)
        memcpy(q->community, community, UUID_SIZE);
    queue_start_over(q);
}

bool queue_is_ready(const Queue *q)
{
    return q->community[0] && store_is_up(q->store);
}

int queue_query(Queue *q, Statement st, store_done_t on_done, void *userdata, StoreQuery **ret, Error *err)
{
    return store_query(q->store, st, on_done, userdata, ret, err);
}

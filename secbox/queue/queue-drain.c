/* SPDX-License-Identifier: MIT */
/* Sending and forgetting. What was sent is remembered in memory only, as the highest of each priority: after any doubt it
 * begins from the lowest again, and the gateway takes nothing twice. */
#include <errno.h>
#include <string.h>

#include "lib/base/encode.h"
#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/event/daemon.h"
#include "secbox/queue/queue-impl.h"
#include "secbox/queue/queue-sql.h"

#define PUSH_EVENTS_MAX 200
#define PUSH_BYTES_MAX (250 * 1024)
#define IN_FLIGHT_MAX 800
/* events may have been written by a program before this one, or put back */
#define LOOK_INTERVAL (30 * USEC_PER_SEC)
/* While guards write one event after another, what they write within it is sent together */
#define GATHER_INTERVAL (20 * USEC_PER_MSEC)
#define TICK (10 * USEC_PER_MINUTE)
#define TICKS_PER_DAY (INT64_C(24) * 6)

#define PUSH_HEAD "{\"type\":\"events.push\",\"events\":["

static int on_no_ack(sd_event_source *source, uint64_t usec, void *userdata)
{
    (void) source;
    (void) usec;
    log_notice("the gateway does not acknowledge events; sending them again");
    queue_start_over(userdata);
    return 0;
}

static void expect_ack(Queue *q)
{
    if (q->in_flight == 0)
        timer_disarm(q->ack_timer);
    else if (timer_arm(q->event, &q->ack_timer, q->resend.base_usec + backoff_next(&q->resend, random_u64(), 0, 0),
                       on_no_ack, q) < 0)
        sd_event_exit(q->event, -ENOMEM);
}

/* Puts as many rows into one message as fit; returns how many. */
static size_t print_push(Queue *q, const StoreRows *rows, Buf *b, int64_t after[static _QUEUE_PRIORITIES])
{
    size_t n = store_rows_count(rows), i = 0;

    if (buf_puts(b, PUSH_HEAD) < 0)
        return 0;
    for (; i < n && i + q->in_flight < IN_FLIGHT_MAX; i++) {
        const char *event = store_rows_get(rows, i, 2);
        uint64_t seq = 0, priority = 0;

        if (!event || store_rows_u64(rows, i, 0, INT64_MAX, &seq) < 0 ||
            store_rows_u64(rows, i, 1, _QUEUE_PRIORITIES - 1, &priority) < 0 ||
            b->len + strlen(event) + 3 > PUSH_BYTES_MAX || buf_puts(b, i > 0 ? "," : "") < 0 || buf_puts(b, event) < 0)
            break;
        after[priority] = (int64_t) seq;
    }
    return i > 0 && buf_puts(b, "]}") >= 0 ? i : 0;
}

bool queue_is_drained(const Queue *q)
{
    return q->drained && q->tunnel_up && q->in_flight == 0 && !q->select && !q->gather_timer && q->gathering.n == 0 &&
           q->writing.n == 0;
}

/* What is known to wait goes on at once, what may have been written meanwhile soon. */
static void look_on(Queue *q)
{
    if (q->more)
        queue_drain(q);
    else
        queue_drain_soon(q);
}

static void send_rows(Queue *q, const StoreRows *rows)
{
    _cleanup_(buf_done) Buf b = BUF_INIT(PUSH_BYTES_MAX + 16);
    int64_t after[_QUEUE_PRIORITIES];

    q->drained = false;
    memcpy(after, q->after, sizeof(after));
    size_t n = print_push(q, rows, &b, after);
    q->more = n < store_rows_count(rows) || n == PUSH_EVENTS_MAX;
    if (n == 0)
        return;
    int r = q->send(b.data, b.len, q->userdata);
    if (r < 0) {
        log_debug("events wait for room in the tunnel: %s", strerror(-r));
        return; /* looked at again soon */
    }
    memcpy(q->after, after, sizeof(after));
    q->in_flight += (unsigned) n;
    expect_ack(q);
    look_on(q);
}

static void on_selected(StoreQuery *query, int r, const StoreRows *rows, const Error *err, void *userdata)
{
    Queue *q = userdata;

    (void) query;
    q->select = NULL;
    if (r < 0) {
        log_failure(r == -ENOTCONN ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARNING, NULL, err, r, "events wait in the queue");
        return;
    }
    if (q->select_generation != q->generation) {
        queue_drain(q);
    } else if (store_rows_count(rows) > 0 && q->tunnel_up) {
        send_rows(q, rows);
    } else if (q->in_flight == 0) {
        q->drained = true;
        memset(q->after, 0, sizeof(q->after)); /* another writer may commit a lower one later */
        q->resend.tries = 0;
    }
}

void queue_drain(Queue *q)
{
    if (q->select || !q->tunnel_up || !q->community[0] || q->in_flight + PUSH_EVENTS_MAX > IN_FLIGHT_MAX ||
        !store_is_up(q->store))
        return;
    q->select_generation = q->generation;
    q->looked_at = boottime_usec();
    if (store_query(q->store, sql_queue_next(q->community, q->after, PUSH_EVENTS_MAX), on_selected, q, &q->select,
                    NULL) < 0)
        q->select = NULL;
}

static int on_gathered(sd_event_source *source, uint64_t usec, void *userdata)
{
    Queue *q = userdata;

    (void) source;
    (void) usec;
    q->gather_timer = sd_event_source_disable_unref(q->gather_timer);
    queue_drain(q);
    return 0;
}

void queue_drain_soon(Queue *q)
{
    usec_t passed = boottime_usec() - q->looked_at;

    if (q->gather_timer)
        return;
    if (passed >= GATHER_INTERVAL ||
        timer_arm(q->event, &q->gather_timer, GATHER_INTERVAL - passed, on_gathered, q) < 0)
        queue_drain(q);
}

void queue_start_over(Queue *q)
{
    q->generation++;
    q->drained = false;
    q->in_flight = 0;
    memset(q->after, 0, sizeof(q->after));
    timer_disarm(q->ack_timer);
    queue_drain(q);
}

void queue_wake(Queue *q)
{
    queue_drain(q);
}

void queue_tunnel_up(Queue *q)
{
    q->tunnel_up = true;
    queue_start_over(q);
}

void queue_tunnel_down(Queue *q)
{
    q->tunnel_up = false;
    q->generation++;
    timer_disarm(q->ack_timer);
}

static void on_acked(StoreQuery *query, int r, const StoreRows *rows, const Error *err, void *userdata)
{
    Queue *q = userdata;

    (void) query;
    (void) rows;
    if (r < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, err, r, "acknowledged events stay in the queue and are sent again");
    queue_see_failure(q, r);
    look_on(q);
}

/* How many events the message is about; negative where it is not as it must be. */
static int count_ids(const cJSON *message)
{
    const cJSON *item;
    int n = 0;

    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(message, "accepted")) {
        if (!cJSON_IsString(item) || !uuid_is_valid(item->valuestring))
            return -EBADMSG;
        n++;
    }
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(message, "rejected")) {
        if (!uuid_is_valid(json_string(item, "clientId")))
            return -EBADMSG;
        log_warning("the gateway refuses the event %s; it is a dead letter now", json_string(item, "clientId"));
        n++;
    }
    return n;
}

bool queue_take(Queue *q, const cJSON *message, const char *text)
{
    if (!str_equal(json_string(message, "type"), "events.ack"))
        return false;
    int n = count_ids(message);
    if (n < 0) {
        log_warning("an acknowledgement of events cannot be read; they are sent again");
        return true;
    }
    q->in_flight -= (unsigned) n < q->in_flight ? (unsigned) n : q->in_flight;
    q->resend.tries = 0;
    expect_ack(q);
    if (n > 0 && store_query(q->store, sql_queue_ack(text), on_acked, q, NULL, NULL) < 0)
        log_debug("acknowledged events stay in the queue and are sent again");
    return true;
}

static void on_trimmed(StoreQuery *query, int r, const StoreRows *rows, const Error *err, void *userdata)
{
    uint64_t n = 0;

    (void) query;
    queue_see_failure(userdata, r);
    if (r < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, err, r, "the queue's bounds cannot be looked at");
    else if (store_rows_u64(rows, 0, 0, INT64_MAX, &n) >= 0 && n > 0)
        log_warning("the queue has no room: %llu of its least important, oldest events are lost",
                    (unsigned long long) n);
}

void queue_trim(Queue *q, bool passed)
{
    q->written_bytes = 0;
    if (store_query(q->store, sql_queue_trim((int64_t) q->bytes_max, q->days_max * TICKS_PER_DAY, passed), on_trimmed,
                    q, NULL, NULL) < 0)
        return; /* the next tick */
}

static int on_tick(sd_event_source *source, uint64_t usec, void *userdata)
{
    Queue *q = userdata;

    (void) source;
    (void) usec;
    queue_trim(q, true);
    return timer_arm(q->event, &q->tick_timer, TICK, on_tick, q);
}

static int on_look(sd_event_source *source, uint64_t usec, void *userdata)
{
    Queue *q = userdata;

    (void) source;
    (void) usec;
    queue_drain(q);
    return timer_arm(q->event, &q->look_timer, LOOK_INTERVAL, on_look, q);
}

int queue_start_timers(Queue *q)
{
    int r = timer_arm(q->event, &q->tick_timer, TICK, on_tick, q);

    return r < 0 ? r : timer_arm(q->event, &q->look_timer, LOOK_INTERVAL, on_look, q);
}

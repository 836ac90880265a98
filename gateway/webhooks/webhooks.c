/* SPDX-License-Identifier: MIT */
/* A webhook is always in one of these: it asks the database for its next event, sends it, notes what became of it, waits for a
 * time, or has nothing to do. */
#include "gateway/webhooks/webhooks.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "gateway/auth/audit.h"
#include "gateway/http/url-client.h"
#include "gateway/store/webhooks-table.h"
#include "gateway/webhooks/webhook-rules.h"
#include "lib/base/encode.h"
#include "lib/base/log.h"
#include "lib/base/map.h"
#include "lib/base/strv.h"
#include "lib/base/uuid.h"
#include "lib/event/daemon.h"
#include "lib/net/public-address.h"

#define CALL_TIMEOUT (20 * USEC_PER_SEC)
#define CONNECT_TIMEOUT (10 * USEC_PER_SEC)
#define ANSWER_MAX ((size_t) 64 * 1024) /* nobody reads it */
#define REASON_MAX 300
#define HEADER_SIZE 200
#define SET_AT_SIZE 40
#define DELAY_MAX_MS ((uint64_t) WEBHOOK_WAIT_MAX / USEC_PER_MSEC)

struct Webhooks {
    sd_event *event;
    Store *store;
    UrlClient urls;
    unsigned tries;
    Map *hooks; /* community → Hook, owned */
    StoreQuery *query;
};

typedef struct Hook {
    Webhooks *owner;
    char community[UUID_SIZE];
    StoreQuery *query;
    HttpCall *call;
    sd_event_source *timer;
    bool waits; /* for its time */
    bool again; /* there is news: look again when this is over */
    bool seen;  /* in the answer that is being read */
    /* the event under way */
    uint64_t seq;
    unsigned tries; /* before this one */
    bool dead_letter;
    char set_at[SET_AT_SIZE]; /* of the webhook that it is sent by */
} Hook;

static void ask(Hook *h);

static void hook_stop(Hook *h)
{
    h->query = store_query_free(h->query);
    h->call = http_call_free(h->call);
    timer_disarm(h->timer);
    h->waits = false;
}

static void hook_free(void *hook)
{
    Hook *h = hook;

    hook_stop(h);
    sd_event_source_disable_unref(h->timer);
    free(h);
}

static Hook *hook_new(Webhooks *w, const char *community)
{
    Hook *h = calloc(1, sizeof(*h));

    if (!h)
        return NULL;
    h->owner = w;
    if (uuid_parse(community, h->community) >= 0 && map_put(w->hooks, h->community, h) >= 0)
        return h;
    free(h);
    return NULL;
}

static bool is_busy(const Hook *h)
{
    return h->query || h->call;
}

static int on_time(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    Hook *h = userdata;

    h->waits = false;
    ask(h);
    return 0;
}

static void wait_for(Hook *h, usec_t delay)
{
    /* without a timer the next sweep finds it */
    h->waits = timer_arm(h->owner->event, &h->timer, delay, on_time, h) >= 0;
}

/* The outcome stands in the database, or it does not and the event goes out once more. */
static void on_noted(StoreQuery *q _unused_, int r, const StoreRows *rows _unused_, const Error *err, void *userdata)
{
    Hook *h = userdata;

    h->query = NULL;
    if (r < 0)
        log_failure(LOG_LEVEL_NOTICE, NULL, err, r, "what became of an event of %s is not noted, it will be sent again",
                    h->community);
    else
        ask(h);
}

static void on_given_up(StoreQuery *q, int r, const StoreRows *rows, const Error *err, void *userdata)
{
    if (r >= 0)
        audit_written_once(r, rows, err);
    on_noted(q, r, rows, err, userdata);
}

static void note(Hook *h, Statement st, store_done_t on_done)
{
    _cleanup_(error_done) Error err = {};
    int r = store_query(h->owner->store, st, on_done, h, &h->query, &err);

    if (r < 0)
        on_noted(NULL, r, NULL, &err, h);
}

static WebhookEvent under_way(const Hook *h)
{
    return (WebhookEvent) { .community = h->community, .set_at = h->set_at, .seq = h->seq, .again = h->dead_letter };
}

static void give_up(Hook *h, const char *reason, bool stop)
{
    const WebhookEvent e = under_way(h);

    note(h, sql_webhook_dead(&e, reason, stop), on_given_up);
}

/* A dead letter gets one more try each time that somebody asks for it. */
static void on_failed(Hook *h, const char *reason, usec_t retry_after)
{
    log_notice("event %llu of %s was not delivered: %s", (unsigned long long) h->seq, h->community, reason);
    if (h->dead_letter || h->tries + 1 >= h->owner->tries) {
        give_up(h, reason, false);
        return;
    }
    usec_t wait = webhook_wait(h->tries + 1, random_u64(), retry_after);
    const WebhookEvent e = under_way(h);
    note(h, sql_webhook_failed(&e, reason, wait / USEC_PER_MSEC), on_noted);
}

static void on_answer(HttpCall *call _unused_, int r, const HttpResponse *response, const Error *err, void *userdata)
{
    Hook *h = userdata;
    const WebhookEvent e = under_way(h);
    char reason[REASON_MAX];

    h->call = NULL;
    if (r < 0) {
        (void) snprintf(reason, sizeof(reason), "%s", error_message(err, r));
        on_failed(h, reason, 0);
        return;
    }
    switch (webhook_verdict(response->status)) {
    case WEBHOOK_TAKEN:
        note(h, sql_webhook_delivered(&e), on_noted);
        break;
    case WEBHOOK_GONE:
        give_up(h, "the receiver answers with 410: it wants no more", true);
        break;
    case WEBHOOK_AGAIN:
        (void) snprintf(reason, sizeof(reason), "the receiver answers with %d%s", response->status,
                        response->status / 100 == 3 ? ": redirects are not followed" : "");
        on_failed(h, reason, response->retry_after_usec);
        break;
    }
}

static bool may_connect_here(const struct sockaddr *address, void *url_client)
{
    return address_is_loopback(address) && url_client_may_connect(address, url_client);
}

/* What is sent, as in Standard Webhooks. */
typedef struct Message {
    const char *url, *secret, *id, *body;
} Message;

static int send_signed(Webhooks *w, const Message *m, http_done_t on_done, void *userdata, HttpCall **ret, Error *err)
{
    char id[HEADER_SIZE], timestamp[HEADER_SIZE];
    uint64_t now = realtime_usec() / USEC_PER_SEC;
    _cleanup_(freep) char *signature = NULL;
    int r = webhook_sign(m->secret, m->id, now, m->body, strlen(m->body), &signature, err);

    if (r < 0)
        return r;
    _cleanup_(freep) char *header = str_format("webhook-signature: %s", signature);
    (void) snprintf(id, sizeof(id), "webhook-id: %s", m->id);
    (void) snprintf(timestamp, sizeof(timestamp), "webhook-timestamp: %llu", (unsigned long long) now);
    /* Many receivers know their senders by the path alone: no log and no alarm shows it. */
    _cleanup_(freep) char *what = webhook_receiver(m->url);
    const char *headers[] = { "Content-Type: application/json", id, timestamp, header, NULL };
    const HttpRequest request = {
        .method = "POST",
        .url = m->url,
        .what = what,
        .headers = headers,
        .body = m->body,
        .body_len = strlen(m->body),
        .ca_pem = w->urls.authorities,
        .ca_advice = "check the receiver's certificate and --webhook-ca",
        .timeout_usec = CALL_TIMEOUT,
        .connect_timeout_usec = CONNECT_TIMEOUT,
        .response_max = ANSWER_MAX,
        .may_connect = str_starts(m->url, "https://") ? url_client_may_connect : may_connect_here,
        .userdata = &w->urls,
        .reuse = true,
    };
    return header && what ? http_start(w->urls.client, &request, on_done, userdata, ret, err) : -ENOMEM;
}

int webhooks_send_test(Webhooks *w, const char *url, const char *secret, const char *body, http_done_t on_done,
                       void *userdata, HttpCall **ret, Error *err)
{
    char id[UUID_SIZE];

    uuid4_make(id);
    return send_signed(w, &(Message) { url, secret, id, body }, on_done, userdata, ret, err);
}

static void deliver(Hook *h, const StoreRows *rows)
{
    _cleanup_(error_done) Error err = {};
    const Message m = {
        .url = store_rows_get(rows, 0, 3),
        .secret = store_rows_get(rows, 0, 4),
        .id = store_rows_get(rows, 0, 1),
        .body = store_rows_get(rows, 0, 2),
    };
    int r = send_signed(h->owner, &m, on_answer, h, &h->call, &err);

    if (r < 0)
        on_failed(h, error_message(&err, r), 0);
}

static void on_next(StoreQuery *q _unused_, int r, const StoreRows *rows, const Error *err, void *userdata)
{
    Hook *h = userdata;
    uint64_t tries = 0, delay = 0;

    h->query = NULL;
    if (r < 0) {
        log_debug("the next event of %s waits for the database: %s", h->community, error_message(err, r));
        return;
    }
    if (store_rows_count(rows) == 0) {
        if (h->again)
            ask(h);
        return;
    }
    if (store_rows_u64(rows, 0, 0, INT64_MAX, &h->seq) < 0 || store_rows_u64(rows, 0, 6, INT32_MAX, &tries) < 0 ||
        store_rows_u64(rows, 0, 7, UINT64_MAX, &delay) < 0)
        return;
    h->tries = (unsigned) tries;
    h->dead_letter = store_rows_true(rows, 0, 5);
    (void) snprintf(h->set_at, sizeof(h->set_at), "%s", store_rows_get(rows, 0, 8));
    if (delay > 0)
        wait_for(h, (delay < DELAY_MAX_MS ? delay : DELAY_MAX_MS) * USEC_PER_MSEC);
    else
        deliver(h, rows);
}

static void ask(Hook *h)
{
    if (is_busy(h))
        return;
    h->again = false;
    (void) !store_query(h->owner->store, sql_webhook_next(h->community), on_next, h, &h->query, NULL);
}

void webhooks_wake(Webhooks *w, const char *community)
{
    Hook *h = map_get(w->hooks, community);

    if (!h)
        return;
    if (is_busy(h))
        h->again = true;
    else if (!h->waits)
        ask(h);
}

void webhooks_changed(Webhooks *w, const char *community)
{
    Hook *h = map_get(w->hooks, community);

    if (h)
        hook_stop(h);
    else
        h = hook_new(w, community);
    if (h)
        ask(h);
}

void webhooks_removed(Webhooks *w, const char *community)
{
    map_remove(w->hooks, community);
}

/* A webhook that is no longer there was removed by another program. */
static void on_all(StoreQuery *q _unused_, int r, const StoreRows *rows, const Error *err _unused_, void *userdata)
{
    Webhooks *w = userdata;
    const char *key;
    void *value;

    w->query = NULL;
    for (size_t i = 0; r >= 0 && i < store_rows_count(rows); i++) {
        const char *community = store_rows_get(rows, i, 0);
        Hook *h = map_get(w->hooks, community);

        if (!h)
            h = hook_new(w, community);
        if (h)
            h->seen = true;
        if (h && store_rows_true(rows, i, 1))
            webhooks_wake(w, community);
    }
    for (size_t i = 0; r >= 0 && map_next(w->hooks, &i, &key, &value);) {
        Hook *h = value;

        if (!h->seen && !is_busy(h))
            map_remove(w->hooks, key);
        else
            h->seen = false;
    }
}

void webhooks_sweep(Webhooks *w)
{
    if (!w->query && !store_is_busy(w->store))
        (void) !store_query(w->store, sql_webhooks_all(), on_all, w, &w->query, NULL);
}

int webhooks_new(sd_event *event, Store *store, const WebhooksOptions *options, Webhooks **ret, Error *err)
{
    _cleanup_(webhooks_freep) Webhooks *w = calloc(1, sizeof(*w));

    if (!w)
        return -ENOMEM;
    w->event = sd_event_ref(event);
    w->store = store;
    w->tries = options->tries;
    w->hooks = map_new(hook_free);
    const UrlClientOptions o = { options->ca_file, options->networks, "--webhook-ca", "--webhook-networks" };
    int r = w->hooks ? url_client_init(&w->urls, event, &o, err) : -ENOMEM;
    if (r < 0)
        return r;
    *ret = TAKE_PTR(w);
    return 0;
}

Webhooks *webhooks_free(Webhooks *w)
{
    if (!w)
        return NULL;
    store_query_free(w->query);
    map_free(w->hooks);
    url_client_done(&w->urls);
    sd_event_unref(w->event);
    free(w);
    return NULL;
}

/* SPDX-License-Identifier: MIT */
#include "lib/tunnel/health-reporter.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/base/boot-id.h"
#include "lib/base/clock.h"
#include "lib/base/encode.h"
#include "lib/base/log.h"
#include "lib/data/json-merge.h"
#include "lib/event/daemon.h"
#include "lib/tunnel/message.h"

#define LOOK_USEC (30 * USEC_PER_SEC)
#define REPORT_USEC (60 * USEC_PER_SEC)
/* What happens together is looked at together. */
#define LOOK_SOON_USEC (200 * USEC_PER_MSEC)

struct HealthReporter {
    sd_event *event;
    sd_event_source *timer;
    const HealthReporterEvents *events;
    void *userdata;
    bool connected;
    cJSON *values;           /* of the last look */
    cJSON *sent, *acked;     /* under way, and what the cloud has */
    uint64_t seq, acked_seq; /* of the former; of the latter */
    usec_t sent_at, due_at;  /* CLOCK_BOOTTIME; the next report without news */
    usec_t look_at;          /* CLOCK_BOOTTIME */
    usec_t look_every, report_every;
};

static const cJSON *faults_of(const cJSON *values)
{
    return cJSON_GetObjectItemCaseSensitive(values, "faults");
}

static bool has_all(const cJSON *of, const cJSON *in)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, of)
        if (!cJSON_GetObjectItemCaseSensitive(in, item->string))
            return false;
    return true;
}

/* A sentence that has another figure in it is no news. */
static bool has_same_faults(const cJSON *a, const cJSON *b)
{
    return has_all(faults_of(a), faults_of(b)) && has_all(faults_of(b), faults_of(a));
}

static cJSON *replace(cJSON **at, cJSON *with)
{
    cJSON_Delete(*at);
    return *at = with;
}

/* health.report; without a base it says everything. */
static cJSON *make_report(const HealthReporter *h)
{
    _cleanup_(cJSON_Deletep) cJSON *m = message_new("health.report"), *nothing = cJSON_CreateObject();
    char at[TIMESTAMP_SIZE];

    if (!m || !nothing || json_add_u64(m, "seq", h->seq) < 0 ||
        (h->acked && json_add_u64(m, "base", h->acked_seq) < 0) ||
        json_add_string(m, "at", timestamp_format(realtime_usec(), at)) < 0 ||
        json_add_item(m, "values", json_merge_diff(h->acked ? h->acked : nothing, h->values)) < 0)
        return NULL;
    return TAKE_PTR(m);
}

static void report(HealthReporter *h, usec_t now)
{
    _cleanup_(cJSON_Deletep) cJSON *m = NULL;

    h->seq++;
    m = make_report(h);
    if (!m || !replace(&h->sent, cJSON_Duplicate(h->values, true)) || h->events->send(m, h->userdata) < 0) {
        log_debug("Health cannot be told now");
        replace(&h->sent, NULL);
        return;
    }
    h->sent_at = now;
    while (h->due_at <= now)
        h->due_at += h->report_every;
}

static void report_if_due(HealthReporter *h)
{
    usec_t now = boottime_usec();

    if (!h->connected || !h->values)
        return;
    if (h->sent && now < h->sent_at + h->report_every)
        return; /* its answer brings us back */
    if (h->sent) {
        /* a gateway that does not answer is told everything each time */
        replace(&h->sent, NULL);
        replace(&h->acked, NULL);
    }
    if (!h->acked || now >= h->due_at || !has_same_faults(h->acked, h->values))
        report(h, now);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata);

static void look_in(HealthReporter *h, usec_t delay)
{
    h->look_at = boottime_usec() + delay;
    if (timer_arm(h->event, &h->timer, delay, on_timer, h) < 0)
        log_warning("No timer for the box's health: it is not told any more");
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
    HealthReporter *h = userdata;
    cJSON *values = h->events->gather(h->userdata);

    (void) source;
    (void) usec;
    if (values)
        replace(&h->values, values);
    report_if_due(h);
    look_in(h, h->look_every);
    return 0;
}

void health_reporter_look(HealthReporter *h)
{
    if (h && h->look_at > boottime_usec() + LOOK_SOON_USEC)
        look_in(h, LOOK_SOON_USEC);
}

void health_reporter_connected(HealthReporter *h)
{
    if (!h)
        return;
    health_reporter_disconnected(h);
    h->connected = true;
    /* boxes that came back together must not report together for ever */
    h->due_at = boottime_usec() + random_below(h->report_every);
    health_reporter_look(h);
}

void health_reporter_disconnected(HealthReporter *h)
{
    if (!h)
        return;
    h->connected = false;
    replace(&h->sent, NULL);
    replace(&h->acked, NULL);
}

void health_reporter_take_ack(HealthReporter *h, const cJSON *message)
{
    uint64_t seq = 0;

    if (!h || json_u64(message, "seq", &seq) < 0)
        return;
    if (seq == 0) {
        /* it cannot make sense of the difference */
        replace(&h->sent, NULL);
        replace(&h->acked, NULL);
        return; /* not at once: an answer must not be able to drive us in circles */
    }
    if (!h->sent || seq != h->seq)
        return;
    replace(&h->acked, TAKE_PTR(h->sent));
    h->acked_seq = seq;
    report_if_due(h);
}

const cJSON *health_reporter_values(const HealthReporter *h)
{
    return h ? h->values : NULL;
}

int health_add_origin(cJSON *values, const char *since_key, usec_t since)
{
    _cleanup_(freep) char *boot = boot_id_read();
    char at[TIMESTAMP_SIZE];

    return json_add_string(values, "version", SECBOX_VERSION) < 0 || json_add_string(values, "bootId", boot) < 0
               ? -ENOMEM
               : json_add_string(values, since_key, timestamp_format(since, at));
}

int health_reporter_new(sd_event *event, unsigned pace, const HealthReporterEvents *events, void *userdata,
                        HealthReporter **ret)
{
    HealthReporter *h = calloc(1, sizeof(*h));
    int r;

    if (!h)
        return -ENOMEM;
    *h = (HealthReporter) { .event = sd_event_ref(event),
                            .events = events,
                            .userdata = userdata,
                            .look_every = LOOK_USEC / pace,
                            .report_every = REPORT_USEC / pace };
    r = timer_arm(event, &h->timer, 0, on_timer, h);
    if (r < 0) {
        health_reporter_free(h);
        return r;
    }
    *ret = h;
    return 0;
}

HealthReporter *health_reporter_free(HealthReporter *h)
{
    if (!h)
        return NULL;
    health_reporter_disconnected(h);
    sd_event_source_disable_unref(h->timer);
    sd_event_unref(h->event);
    cJSON_Delete(h->values);
    free(h);
    return NULL;
}

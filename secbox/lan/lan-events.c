/* SPDX-License-Identifier: MIT */
#include "secbox/lan/lan-events.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "lib/event/daemon.h"
#include "lib/net/stream.h"

/* Some proxies and browsers give a connection up that says nothing for a minute. */
#define HEARTBEAT (15 * USEC_PER_SEC)
/* A tablet that lets this much wait is gone. */
#define QUEUE_MAX ((size_t) 16 * 1024)

typedef struct Watcher Watcher;
struct Watcher {
    LanEvents *events;
    Stream *stream;
    Watcher *next; /* younger ones first */
};

struct LanEvents {
    sd_event *event;
    sd_event_source *heartbeat;
    Watcher *first;
    size_t n;
};

static void watcher_end(Watcher *w)
{
    Watcher **at = &w->events->first;

    while (*at != w)
        at = &(*at)->next;
    *at = w->next;
    w->events->n--;
    stream_free(w->stream);
    free(w);
}

/* A watcher has nothing to say. */
static void on_data(Stream *s _unused_, const uint8_t *data _unused_, size_t len _unused_, void *userdata)
{
    watcher_end(userdata);
}

static void on_closed(Stream *s _unused_, int r _unused_, const Error *err _unused_, void *userdata)
{
    watcher_end(userdata);
}

static const StreamEvents stream_events = { .on_data = on_data, .on_closed = on_closed };

static void send_all(LanEvents *e, const char *text)
{
    Watcher *next;

    for (Watcher *w = e->first; w; w = next) {
        next = w->next;
        if (stream_send(w->stream, text, strlen(text)) < 0)
            watcher_end(w);
    }
}

static int on_heartbeat(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    LanEvents *e = userdata;

    send_all(e, ":\n\n");
    return e->first ? timer_arm(e->event, &e->heartbeat, HEARTBEAT, on_heartbeat, e) : 0;
}

LanEvents *lan_events_new(sd_event *event)
{
    LanEvents *e = calloc(1, sizeof(*e));

    if (e)
        e->event = sd_event_ref(event);
    return e;
}

LanEvents *lan_events_free(LanEvents *e)
{
    if (!e)
        return NULL;
    while (e->first)
        watcher_end(e->first);
    sd_event_source_disable_unref(e->heartbeat);
    sd_event_unref(e->event);
    free(e);
    return NULL;
}

static void end_oldest(LanEvents *e)
{
    Watcher *w = e->first;

    while (w && w->next)
        w = w->next;
    if (w && e->n >= LAN_WATCHERS_MAX)
        watcher_end(w);
}

int lan_events_watch(LanEvents *e, HttpExchange *x)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n"
                               "X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\nretry: 3000\n\n";
    CoarseClock *clock;
    Stream *stream = http_switchable(x, &clock);
    Watcher *w = stream ? calloc(1, sizeof(*w)) : NULL;

    if (!w)
        return -ENOTCONN;
    end_oldest(e);
    *w = (Watcher) { .events = e, .stream = stream, .next = e->first };
    http_switch(x, head, strlen(head));
    e->first = w;
    e->n++;
    stream_set_events(stream, &stream_events, w);
    stream_set_queue_max(stream, QUEUE_MAX);
    if (e->n == 1 && timer_arm(e->event, &e->heartbeat, HEARTBEAT, on_heartbeat, e) < 0)
        log_warning("the guards' interface cannot set its timer");
    return 0;
}

void lan_events_tell(LanEvents *e, const char *name)
{
    _cleanup_(freep) char *text = str_format("event: %s\ndata: {}\n\n", name);

    if (text)
        send_all(e, text);
}

/* SPDX-License-Identifier: MIT */
#include "secbox/matches/frigate-socket.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/base/encode.h"
#include "lib/base/log.h"
#include "lib/event/backoff.h"
#include "lib/event/daemon.h"
#include "lib/websocket/connect.h"

/* It answers pings with everything else that it does. */
#define PING (15 * USEC_PER_SEC)
#define DEAD (40 * USEC_PER_SEC)
/* A guard waits for what it tells: it is tried again soon. */
#define RETRY_MIN (USEC_PER_SEC / 2)
#define RETRY_MAX (10 * USEC_PER_SEC)

struct FrigateSocket {
    sd_event *event;
    const Frigate *frigate;
    const FrigateSocketEvents *events;
    void *userdata;
    WsConnect *connect;
    WsConn *conn;
    sd_event_source *timer;
    Backoff backoff;
    usec_t opened;
    bool wanted;
};

static void open_later(FrigateSocket *s, usec_t delay);

static void is_over(FrigateSocket *s, int http_status, const Error *err)
{
    usec_t lasted = s->opened > 0 ? boottime_usec() - s->opened : 0;

    s->opened = 0;
    backoff_session_ended(&s->backoff, lasted);
    if (s->wanted)
        open_later(s, backoff_next(&s->backoff, random_u64(), RETRY_MIN / 2, 0));
    s->events->on_closed(http_status, err, s->userdata);
}

static void on_text(WsConn *c _unused_, const char *text, size_t len, void *userdata)
{
    const FrigateSocket *s = userdata;

    s->events->on_text(text, len, s->userdata);
}

/* Pictures of MQTT do not come this way; what does anyway is nothing to us. */
static void on_binary(WsConn *c _unused_, const uint8_t *data _unused_, size_t len _unused_, void *userdata _unused_)
{
}

static void on_closed(WsConn *c, uint16_t code _unused_, const Error *err, void *userdata)
{
    FrigateSocket *s = userdata;

    s->conn = NULL;
    is_over(s, 0, err);
    ws_conn_free(c);
}

static const WsEvents ws_events = { .on_text = on_text, .on_binary = on_binary, .on_closed = on_closed };

static void on_open(WsConnect *w _unused_, WsConn *c, void *userdata)
{
    FrigateSocket *s = userdata;

    s->connect = NULL;
    s->conn = c;
    s->opened = boottime_usec();
    ws_conn_set_events(c, &ws_events, s);
    ws_conn_set_keepalive(c, PING, DEAD);
    s->events->on_open(s->userdata);
}

static void on_failed(WsConnect *w _unused_, int r _unused_, int http_status, const Error *err, void *userdata)
{
    FrigateSocket *s = userdata;

    s->connect = NULL;
    is_over(s, http_status, err);
}

static const WsConnectEvents connect_events = { .on_open = on_open, .on_failed = on_failed };

static int open_now(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    FrigateSocket *s = userdata;
    _cleanup_(freep) char *url = frigate_socket_url(s->frigate);
    _cleanup_(error_done) Error err = {};
    const WsConnectTarget target = { .url = url, .token = frigate_token(s->frigate) };

    if (!s->wanted || s->connect || s->conn)
        return 0;
    /* without it that would be refused */
    if (frigate_needs_login(s->frigate)) {
        open_later(s, RETRY_MIN);
        return 0;
    }
    int r = url ? ws_connect(s->event, &target, &connect_events, s, &s->connect, &err)
                : error_from_errno(&err, -ENOMEM, "cannot listen to Frigate");
    if (r < 0)
        is_over(s, 0, &err);
    return 0;
}

static void open_later(FrigateSocket *s, usec_t delay)
{
    if (timer_arm(s->event, &s->timer, delay, open_now, s) < 0)
        log_warning("Frigate is not listened to any more: no timer");
}

int frigate_socket_new(sd_event *event, const Frigate *frigate, const FrigateSocketEvents *events, void *userdata,
                       FrigateSocket **ret)
{
    FrigateSocket *s = calloc(1, sizeof(*s));

    if (!s)
        return -ENOMEM;
    s->event = sd_event_ref(event);
    s->frigate = frigate;
    s->events = events;
    s->userdata = userdata;
    s->backoff = (Backoff) { .base_usec = RETRY_MIN, .cap_usec = RETRY_MAX, .stable_usec = RETRY_MAX };
    *ret = s;
    return 0;
}

FrigateSocket *frigate_socket_free(FrigateSocket *s)
{
    if (!s)
        return NULL;
    ws_connect_free(s->connect);
    ws_conn_free(s->conn);
    sd_event_source_disable_unref(s->timer);
    sd_event_unref(s->event);
    free(s);
    return NULL;
}

void frigate_socket_want(FrigateSocket *s, bool want)
{
    bool begins = want && !s->wanted;

    s->wanted = want;
    if (begins && !s->connect && !s->conn)
        open_later(s, 0);
}

bool frigate_socket_is_open(const FrigateSocket *s)
{
    return s->conn != NULL;
}

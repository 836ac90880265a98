/* SPDX-License-Identifier: MIT */
/* The control connection: how it comes up, what its silence means, and when it is tried again. */
#include "relay-client/rathole/rathole.h"

#include <errno.h>
#include <string.h>

#include "lib/base/encode.h"
#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "lib/event/daemon.h"
#include "lib/net/host-port.h"
#include "relay-client/rathole/rathole-impl.h"

#define HANDSHAKE_TIMEOUT (10 * USEC_PER_SEC)
#define STABLE_USEC (60 * USEC_PER_SEC)

static void begin(Rathole *r);

static int on_retry(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    begin(userdata);
    return 0;
}

/* A name or token that the server does not know is a matter for people: asking again and again would not help them. */
static usec_t next_delay(Rathole *r, RelayCondition condition)
{
    usec_t max = r->settings->retry_max;

    return condition == RELAY_REFUSED ? max / 2 + random_below(max / 2) : backoff_next(&r->backoff, random_u64(), 0, 0);
}

static void come_back(Rathole *r, RelayCondition condition, const Error *err, int code)
{
    usec_t delay;

    if (r->up_since)
        backoff_session_ended(&r->backoff, boottime_usec() - r->up_since);
    r->up_since = 0;
    r->control = stream_free(r->control);
    rathole_channels_drop_pool(r);
    explicit_bzero(r->key, sizeof(r->key));
    free(TAKE_PTR(r->server_address));
    relay_report_set(r->report, condition, err, code);
    delay = next_delay(r, condition);
    if (timer_arm(r->event, &r->timer, delay, on_retry, r) < 0)
        log_error("the relay is not tried again: no memory");
}

static int on_silence(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    Rathole *r = userdata;
    _cleanup_(error_done) Error err = {};
    int k;

    if (r->up_since)
        k = error_set(&err, ETIMEDOUT, "relay.heartbeat",
                      "the server at %s has been silent for %llu s, in which it should have sent a heart-beat; "
                      "TUNNEL_HEARTBEAT_TIMEOUT must be longer than the server's heartbeat_interval",
                      r->settings->server_host, (unsigned long long) (r->settings->heartbeat_timeout / USEC_PER_SEC));
    else
        k = error_set(&err, ETIMEDOUT, "relay.handshake",
                      "%s took the connection and did not answer as a rathole server does: are TUNNEL_SERVER and "
                      "TUNNEL_TRANSPORT right?",
                      r->settings->server_host);
    come_back(r, RELAY_CONNECTING, &err, k);
    return 0;
}

static bool await(Rathole *r, usec_t time)
{
    return timer_arm(r->event, &r->timer, time, on_silence, r) >= 0;
}

static void give_up(Rathole *r, RatholeWord word)
{
    const RelaySettings *s = r->settings;
    _cleanup_(error_done) Error err = {};

    if (word == RATHOLE_UNKNOWN)
        come_back(r, RELAY_REFUSED, &err,
                  error_set(&err, ENOENT, "relay.no-service",
                            "the server has no service %s: add it there, or correct TUNNEL_REMOTE_NAME",
                            s->remote_name));
    else if (word == RATHOLE_BAD_TOKEN)
        come_back(r, RELAY_REFUSED, &err,
                  error_set(&err, EACCES, "relay.bad-token",
                            "the server's service %s has another token: put the same one into TUNNEL_TOKEN",
                            s->remote_name));
    else
        come_back(r, RELAY_CONNECTING, &err,
                  error_set(&err, EPROTO, "relay.protocol",
                            "what %s says is not rathole's protocol, version 1: are TUNNEL_SERVER and TUNNEL_TRANSPORT "
                            "right?",
                            s->server_host));
}

/* A server that knows no such service says so behind its nonce, and may be gone already. */
static bool prove(Rathole *r, Stream *s)
{
    if (rathole_session_key(r->settings->token, rathole_nonce(&r->reader), r->key) < 0 ||
        stream_send(s, r->key, sizeof(r->key)) < 0)
        log_debug("the server is gone before it was told the token");
    return true;
}

static void come_up(Rathole *r)
{
    r->up_since = boottime_usec();
    relay_report_set(r->report, RELAY_CONNECTED, NULL, 0);
}

/* False: the connection is over. */
static bool take_word(Rathole *r, Stream *s, RatholeWord word)
{
    if (word == RATHOLE_NONCE)
        return prove(r, s);
    if (word == RATHOLE_ACCEPTED)
        come_up(r);
    else if (word == RATHOLE_CREATE)
        rathole_channels_want(r);
    else if (word != RATHOLE_HEARTBEAT) {
        give_up(r, word);
        return false;
    }
    return await(r, r->settings->heartbeat_timeout);
}

static void on_data(Stream *s, const uint8_t *data, size_t len, void *userdata)
{
    Rathole *r = userdata;

    while (len > 0) {
        RatholeWord word = rathole_read(&r->reader, &data, &len);
        if (word == RATHOLE_MORE || !take_word(r, s, word))
            return;
    }
}

static void on_open(Stream *s, void *userdata)
{
    Rathole *r = userdata;
    uint8_t hello[RATHOLE_HELLO_SIZE];
    int k = rathole_control_hello(r->settings->remote_name, hello);

    free(r->server_address);
    r->server_address = host_port_host(stream_peer(s));
    if (k >= 0)
        k = stream_send(s, hello, sizeof(hello));
    if (k < 0 || !await(r, HANDSHAKE_TIMEOUT))
        come_back(r, RELAY_CONNECTING, NULL, k);
}

static void on_closed(Stream *s _unused_, int code, const Error *err, void *userdata)
{
    Rathole *r = userdata;
    _cleanup_(error_done) Error ended = {};

    if (code >= 0)
        code = error_set(&ended, ECONNRESET, "relay.ended", "the server at %s ended the connection",
                         r->settings->server_host);
    come_back(r, RELAY_CONNECTING, err ? err : &ended, code);
}

static const StreamEvents control_events = { .on_open = on_open, .on_data = on_data, .on_closed = on_closed };

static void begin(Rathole *r)
{
    const RelaySettings *s = r->settings;
    const StreamTarget target = { .host = s->server_host, .port = s->server_port, .tls = r->tls };
    _cleanup_(error_done) Error err = {};
    int k = stream_connect(r->event, &target, &control_events, r, &r->control, &err);

    r->reader = (RatholeReader) {};
    if (k < 0)
        come_back(r, RELAY_CONNECTING, &err, k);
}

int rathole_new(sd_event *event, const RelaySettings *settings, RelayReport *report, Rathole **ret, Error *err)
{
    Rathole *r = calloc(1, sizeof(*r));
    int k = r ? 0 : -ENOMEM;

    if (r) {
        r->event = sd_event_ref(event);
        r->settings = settings;
        r->report = report;
        r->backoff = (Backoff) { USEC_PER_SEC, settings->retry_max, STABLE_USEC, 0 };
        relay_report_counts(report)->counts_bytes = true;
        k = settings->tls ? tls_new_client(settings->ca_file, &r->tls, err) : 0;
    }
    if (k >= 0)
        k = rathole_channels_start(r);
    if (k < 0) {
        rathole_free(r);
        return error_from_errno(err, k, "cannot be a client of rathole");
    }
    relay_report_set(report, RELAY_CONNECTING, NULL, 0);
    begin(r);
    *ret = r;
    return 0;
}

Rathole *rathole_free(Rathole *r)
{
    if (!r)
        return NULL;
    rathole_channels_done(r);
    stream_free(r->control);
    tls_free(r->tls);
    sd_event_source_disable_unref(r->timer);
    sd_event_unref(r->event);
    explicit_bzero(r->key, sizeof(r->key));
    free(r->server_address);
    free(r);
    return NULL;
}

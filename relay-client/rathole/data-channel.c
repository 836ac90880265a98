/* SPDX-License-Identifier: MIT */
#include "relay-client/rathole/data-channel.h"

#include <errno.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"

struct DataChannel {
    sd_event *event;
    Stream *server, *local;
    DataChannelState state;
    RatholeReader reader;
    Buf early; /* what the visitor said before the target answered */
    char *target_host;
    char *target_known;
    uint16_t target_port;
    usec_t moved_at;
    uint8_t key[RATHOLE_KEY_SIZE];
    RelayState *counts;
    const DataChannelEvents *events;
    void *userdata;
};

static void done(DataChannel *c, int r, const Error *err)
{
    c->events->on_done(c, r, err, c->userdata);
}

static void set_state(DataChannel *c, DataChannelState state)
{
    c->state = state;
    c->moved_at = boottime_usec();
    c->events->on_state(c, c->userdata);
}

/* Memory is bounded by no longer reading from one side while the other has this much to take. */
static void forward(DataChannel *c, Stream *from, Stream *to, const uint8_t *data, size_t len, uint64_t *count)
{
    int r = to ? stream_send(to, data, len) : -ENOTCONN;

    if (r < 0) {
        done(c, r, NULL);
        return;
    }
    *count += len;
    c->moved_at = boottime_usec();
    if (stream_queued(to) > RELAY_QUEUE_HIGH)
        stream_pause(from, true);
}

static void go_on(DataChannel *c, const Stream *flushed, Stream *other)
{
    c->moved_at = boottime_usec();
    if (other && stream_queued(flushed) <= RELAY_QUEUE_LOW)
        stream_pause(other, false);
}

/* In good order both directions have ended, and the other side hears of it, if it has not yet. */
static void side_closed(DataChannel *c, Stream **side, Stream *other, int r, const Error *err)
{
    stream_free(TAKE_PTR(*side));
    if (r < 0 || !other || c->state != DATA_CHANNEL_COPYING)
        done(c, r, err);
    else
        stream_finish(other);
}

static void on_local_open(Stream *s, void *userdata)
{
    DataChannel *c = userdata;
    int r = c->early.len > 0 ? stream_send(s, c->early.data, c->early.len) : 0;

    if (r < 0) {
        done(c, r, NULL);
        return;
    }
    c->counts->bytes_in += c->early.len;
    buf_done(&c->early);
    stream_let_stall(s);
    stream_let_stall(c->server);
    stream_pause(c->server, false);
    set_state(c, DATA_CHANNEL_COPYING);
}

static void on_local_data(Stream *s, const uint8_t *data, size_t len, void *userdata)
{
    DataChannel *c = userdata;

    forward(c, s, c->server, data, len, &c->counts->bytes_out);
}

static void on_local_end(Stream *s _unused_, void *userdata)
{
    DataChannel *c = userdata;

    if (c->server)
        stream_finish(c->server);
}

static void on_local_flushed(Stream *s, void *userdata)
{
    DataChannel *c = userdata;

    go_on(c, s, c->server);
}

static void on_local_closed(Stream *s, int r, const Error *err, void *userdata);

static const StreamEvents local_events = {
    .on_open = on_local_open,
    .on_data = on_local_data,
    .on_end = on_local_end,
    .on_flushed = on_local_flushed,
    .on_closed = on_local_closed,
};

static int dial_target(DataChannel *c, Error *err)
{
    const char *const known[] = { c->target_known, NULL };
    const StreamTarget target = {
        .host = c->target_host,
        .port = c->target_port,
        .known = c->target_known ? known : NULL,
        .known_only = c->target_known != NULL,
    };
    int r = stream_connect(c->event, &target, &local_events, c, &c->local, err);

    if (r >= 0)
        stream_set_queue_max(c->local, RELAY_QUEUE_MAX);
    return r;
}

/* A container that was made anew has another address. */
static bool dial_anew(DataChannel *c)
{
    if (c->state != DATA_CHANNEL_ANSWERING || !c->target_known)
        return false;
    stream_free(TAKE_PTR(c->local));
    free(TAKE_PTR(c->target_known));
    return dial_target(c, NULL) >= 0;
}

static void on_local_closed(Stream *s _unused_, int r, const Error *err, void *userdata)
{
    DataChannel *c = userdata;
    _cleanup_(error_done) Error why = {};

    if (r < 0 && dial_anew(c))
        return;
    if (r < 0 && c->state == DATA_CHANNEL_ANSWERING)
        done(c,
             error_set(&why, -r, DATA_CHANNEL_NO_TARGET,
                       "a visitor came, and nothing answers at %s:%u (RELAY_TARGET): %s", c->target_host,
                       c->target_port, error_message(err, r)),
             &why);
    else
        side_closed(c, &c->local, c->server, r, err);
}

static void answer_visitor(DataChannel *c, const uint8_t *data, size_t len)
{
    _cleanup_(error_done) Error err = {};
    int r = buf_append(&c->early, data, len);

    stream_pause(c->server, true);
    if (r >= 0)
        r = dial_target(c, &err);
    if (r < 0)
        done(c, r, &err);
    else
        set_state(c, DATA_CHANNEL_ANSWERING);
}

static void on_server_open(Stream *s, void *userdata)
{
    DataChannel *c = userdata;
    uint8_t hello[RATHOLE_HELLO_SIZE];

    rathole_data_hello(c->key, hello);
    int r = stream_send(s, hello, sizeof(hello));
    if (r < 0)
        done(c, r, NULL);
    else
        set_state(c, DATA_CHANNEL_POOLED);
}

static void on_server_data(Stream *s, const uint8_t *data, size_t len, void *userdata)
{
    DataChannel *c = userdata;
    _cleanup_(error_done) Error err = {};

    if (c->state == DATA_CHANNEL_COPYING) {
        forward(c, s, c->local, data, len, &c->counts->bytes_in);
        return;
    }
    RatholeWord word = c->state == DATA_CHANNEL_POOLED ? rathole_read(&c->reader, &data, &len) : RATHOLE_GARBAGE;
    if (word == RATHOLE_START)
        answer_visitor(c, data, len);
    else if (word != RATHOLE_MORE)
        done(c,
             error_set(&err, EPROTO, "relay.protocol",
                       "the server asked a data connection for what is not known here: is the service of type tcp?"),
             &err);
}

static void on_server_end(Stream *s _unused_, void *userdata)
{
    DataChannel *c = userdata;

    if (c->state == DATA_CHANNEL_COPYING && c->local)
        stream_finish(c->local);
    else
        done(c, 0, NULL);
}

static void on_server_flushed(Stream *s, void *userdata)
{
    DataChannel *c = userdata;

    go_on(c, s, c->state == DATA_CHANNEL_COPYING ? c->local : NULL);
}

static void on_server_closed(Stream *s _unused_, int r, const Error *err, void *userdata)
{
    DataChannel *c = userdata;

    side_closed(c, &c->server, c->local, r, err);
}

static const StreamEvents server_events = {
    .on_open = on_server_open,
    .on_data = on_server_data,
    .on_end = on_server_end,
    .on_flushed = on_server_flushed,
    .on_closed = on_server_closed,
};

int data_channel_new(sd_event *event, const DataChannelOptions *o, DataChannel **ret, Error *err)
{
    DataChannel *c = calloc(1, sizeof(*c));
    int r = c ? 0 : -ENOMEM;

    if (c) {
        c->event = sd_event_ref(event);
        c->reader.turn = RATHOLE_TURN_DATA;
        c->early = BUF_INIT(RELAY_QUEUE_MAX);
        c->moved_at = boottime_usec();
        memcpy(c->key, o->key, sizeof(c->key));
        c->counts = o->counts;
        c->events = o->events;
        c->userdata = o->userdata;
        c->target_host = strdup(o->target.host);
        c->target_port = o->target.port;
        c->target_known = o->target.known && o->target.known[0] ? strdup(o->target.known[0]) : NULL;
        r = c->target_host ? stream_connect(event, &o->server, &server_events, c, &c->server, err) : -ENOMEM;
    }
    if (r < 0) {
        data_channel_free(c);
        return error_from_errno(err, r, "cannot open a data connection");
    }
    stream_set_queue_max(c->server, RELAY_QUEUE_MAX);
    *ret = c;
    return 0;
}

DataChannel *data_channel_free(DataChannel *c)
{
    if (!c)
        return NULL;
    stream_free(c->server);
    stream_free(c->local);
    sd_event_unref(c->event);
    buf_done(&c->early);
    explicit_bzero(c->key, sizeof(c->key));
    free(c->target_host);
    free(c->target_known);
    free(c);
    return NULL;
}

DataChannelState data_channel_state(const DataChannel *c)
{
    return c->state;
}

usec_t data_channel_moved_at(const DataChannel *c)
{
    return c->moved_at;
}

const char *data_channel_target(const DataChannel *c)
{
    return c->local ? stream_peer(c->local) : "";
}

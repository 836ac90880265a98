/* SPDX-License-Identifier: MIT */
/* The set of data connections: never more than RELAY_CHANNELS_MAX, and not many on their way at once. */
#include <errno.h>
#include <string.h>

#include "lib/base/encode.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/event/daemon.h"
#include "lib/net/host-port.h"
#include "relay-client/rathole/rathole-impl.h"

/* How soon one that failed, or that was lost while it waited, is made again: a random time up to this. */
#define AGAIN_USEC USEC_PER_SEC
/* One that the server drops sooner is one that it does not want. */
#define POOLED_LONG (10 * USEC_PER_SEC)
/* A visitor who neither says nor takes anything for so long is gone. */
#define IDLE_MAX (10 * USEC_PER_MINUTE)
#define SWEEP_INTERVAL USEC_PER_MINUTE

static void make_wanted(Rathole *r);

static bool has_visitor(const DataChannel *c)
{
    return data_channel_state(c) >= DATA_CHANNEL_ANSWERING;
}

static void count(Rathole *r)
{
    unsigned open = 0;

    r->dialing = 0;
    for (unsigned i = 0; i < r->n; i++) {
        open += has_visitor(r->channels[i]);
        r->dialing += data_channel_state(r->channels[i]) == DATA_CHANNEL_DIALING;
    }
    relay_report_counts(r->report)->open = open;
}

static void remove_channel(Rathole *r, unsigned i)
{
    data_channel_free(r->channels[i]);
    r->channels[i] = r->channels[--r->n];
}

static void on_state(DataChannel *c, void *userdata)
{
    Rathole *r = userdata;

    if (data_channel_state(c) == DATA_CHANNEL_ANSWERING)
        relay_report_counts(r->report)->visitors++;
    if (data_channel_state(c) == DATA_CHANNEL_COPYING) {
        free(r->target_address);
        r->target_address = host_port_host(data_channel_target(c)); /* a container that was made anew has another one */
        if (r->up_since)
            relay_report_set(r->report, RELAY_CONNECTED, NULL, 0);
    }
    count(r);
    make_wanted(r);
}

static int on_later(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    make_wanted(userdata);
    return 0;
}

static void want_later(Rathole *r)
{
    int enabled = SD_EVENT_OFF;

    if (r->wanted < RELAY_WANTED_MAX)
        r->wanted++;
    if (r->later && sd_event_source_get_enabled(r->later, &enabled) >= 0 && enabled != SD_EVENT_OFF)
        return;
    if (timer_arm(r->event, &r->later, random_below(AGAIN_USEC), on_later, r) < 0)
        make_wanted(r);
}

static void on_done(DataChannel *c, int code, const Error *err, void *userdata)
{
    Rathole *r = userdata;
    DataChannelState state = data_channel_state(c);
    bool was_long = boottime_usec() - data_channel_moved_at(c) > POOLED_LONG;
    unsigned i = 0;

    if (str_equal(error_id(err), DATA_CHANNEL_NO_TARGET)) {
        free(TAKE_PTR(r->target_address));
        if (r->up_since)
            relay_report_set(r->report, RELAY_CONNECTED, err, code);
    }
    while (i < r->n && r->channels[i] != c)
        i++;
    if (i < r->n)
        remove_channel(r, i);
    else
        data_channel_free(c);
    count(r);
    if (!r->up_since)
        return;
    if (state == DATA_CHANNEL_DIALING || (state == DATA_CHANNEL_POOLED && was_long))
        want_later(r);
    make_wanted(r);
}

static const DataChannelEvents channel_events = { .on_state = on_state, .on_done = on_done };

static int make_one(Rathole *r, Error *err)
{
    const char *const known[] = { r->server_address, NULL }, *const target_known[] = { r->target_address, NULL };
    const RelaySettings *s = r->settings;
    const DataChannelOptions options = {
        .server = { .host = s->server_host,
                    .port = s->server_port,
                    .tls = r->tls,
                    .known = known,
                    .known_only = r->server_address != NULL },
        .target = { .host = s->target_host, .port = s->target_port, .known = target_known },
        .key = r->key,
        .counts = relay_report_counts(r->report),
        .events = &channel_events,
        .userdata = r,
    };
    int k = data_channel_new(r->event, &options, &r->channels[r->n], err);

    if (k >= 0)
        r->n++;
    return k;
}

static void make_wanted(Rathole *r)
{
    _cleanup_(error_done) Error err = {};

    while (r->up_since && r->wanted > 0 && r->dialing < RELAY_DIALS_MAX && r->n < RELAY_CHANNELS_MAX) {
        r->wanted--;
        if (make_one(r, &err) < 0) {
            want_later(r);
            return;
        }
        r->dialing++;
    }
}

void rathole_channels_want(Rathole *r)
{
    if (r->wanted < RELAY_WANTED_MAX)
        r->wanted++;
    make_wanted(r);
}

void rathole_channels_drop_pool(Rathole *r)
{
    r->wanted = 0;
    timer_disarm(r->later);
    for (unsigned i = r->n; i > 0; i--)
        if (!has_visitor(r->channels[i - 1]))
            remove_channel(r, i - 1);
    count(r);
}

static int on_sweep(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    Rathole *r = userdata;
    usec_t now = boottime_usec();

    for (unsigned i = r->n; i > 0; i--)
        if (has_visitor(r->channels[i - 1]) && now - data_channel_moved_at(r->channels[i - 1]) > IDLE_MAX)
            remove_channel(r, i - 1);
    count(r);
    make_wanted(r);
    return timer_arm(r->event, &r->sweep, SWEEP_INTERVAL, on_sweep, r);
}

int rathole_channels_start(Rathole *r)
{
    return timer_arm(r->event, &r->sweep, SWEEP_INTERVAL, on_sweep, r);
}

void rathole_channels_done(Rathole *r)
{
    while (r->n > 0)
        remove_channel(r, r->n - 1);
    sd_event_source_disable_unref(r->later);
    sd_event_source_disable_unref(r->sweep);
    free(r->target_address);
}

/* SPDX-License-Identifier: MIT */
/* What the control connection and the set of data connections share. */
#pragma once

#include "lib/base/limits.h"
#include "lib/event/backoff.h"
#include "relay-client/rathole/data-channel.h"
#include "relay-client/rathole/rathole.h"

struct Rathole {
    sd_event *event;
    const RelaySettings *settings;
    RelayReport *report;
    Tls *tls; /* NULL: TUNNEL_TRANSPORT=tcp */
    Stream *control;
    RatholeReader reader;
    sd_event_source *timer; /* until the next try, or of the server's silence */
    Backoff backoff;
    usec_t up_since;      /* 0: it is not */
    char *server_address; /* of the control connection; data connections go to the same one */
    uint8_t key[RATHOLE_KEY_SIZE];

    /* rathole-channels.c */
    DataChannel *channels[RELAY_CHANNELS_MAX]; /* the first n */
    unsigned n;
    unsigned dialing;
    unsigned wanted; /* asked for, and not begun yet */
    sd_event_source *later, *sweep;
    char *target_address; /* where the target answered last */
};

/* The server wants one more. */
void rathole_channels_want(Rathole *r);
/* Those that no visitor has are of no use any more. */
void rathole_channels_drop_pool(Rathole *r);
int rathole_channels_start(Rathole *r) _must_check_;
void rathole_channels_done(Rathole *r);

/* SPDX-License-Identifier: MIT */
/* The box's end of bridge SSH: answers a stream that asks for a target of the allow-list by connecting to it, and lets
 * the site see who is logged in: one journal line at the beginning and one at the end, and a file that `secboxctl
 * sessions` shows. */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "lib/mux/mux.h"

typedef struct Bridge Bridge;

/* A peer names a target, never an address. */
typedef struct BridgeTarget {
    const char *name; /* "ssh" */
    const char *host; /* numeric, or a name; resolved at each open (stream.h) */
    uint16_t port;
    /* Instead of host and port: opens what the stream is to be copied from and to, at once. The two may be one; the bridge
     * closes them. */
    int (*dial)(const cJSON *open, void *userdata, int *ret_in, int *ret_out, Error *err);
    void *userdata; /* for it */
    bool passive;   /* who comes only looks on, and can do so again: nothing waits for the end of such a session */
} BridgeTarget;

typedef struct BridgeOptions {
    const char *program;         /* named in the sessions file */
    const BridgeTarget *targets; /* ends with {}; copied */
    const char *sessions_path;   /* see sessions-file.h; NULL = none is written */
    /* Whether this stream may be opened now; NULL = always. Error ids reach the gateway as the reason. */
    int (*may_open)(const cJSON *open, void *userdata, Error *err);
    void *userdata;
} BridgeOptions;

int bridge_new(sd_event *event, const BridgeOptions *options, Bridge **ret, Error *err) _must_check_;
/* Resets what is open with "bridge.ended", so call it before the mux of its streams is freed. NULL-safe. */
Bridge *bridge_free(Bridge *b);
DEFINE_CLEANUP(Bridge, bridge_free)

/* For a bridge without a sessions file, once whoever wrote that file before has ended. */
void bridge_show_in(Bridge *b, const char *sessions_path, const char *program);

/* As bridge_free(), but the bridge stays: for when a new tunnel replaces the one that its streams came by. NULL-safe. */
void bridge_end_all(Bridge *b);

/* Takes what MuxEvents.on_open and TunnelEvents.on_stream hand over. Refusals: bridge.no-target, bridge.busy
 * (BRIDGE_SESSIONS_MAX are open), bridge.connect (nothing listens, or no answer within 10 s), and those of may_open. */
void bridge_open(Bridge *b, MuxStream *s, const cJSON *open);

/* Whether this stream is for a passive target. */
bool bridge_is_passive(const Bridge *b, const cJSON *open);
/* Open sessions now, but for passive ones. */
unsigned bridge_sessions(const Bridge *b);

/* SPDX-License-Identifier: MIT */
/* One rollout in memory, shared by the files that run it and write it down. */
#pragma once

#include <cjson/cJSON.h>

#include "gateway/rollouts/rollouts.h"
#include "lib/base/error.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"

typedef struct RolloutBox {
    char *device;
    RolloutBoxState state, before; /* before its turn, while that is being written down */
    unsigned group;
    unsigned tries;     /* that did not count, since the gateway knows it */
    usec_t not_before;  /* CLOCK_BOOTTIME, as the next */
    usec_t away_since;  /* 0: it is connected, or nobody has looked yet */
} RolloutBox;

typedef struct Rollout {
    Gateway *gateway;
    char *id;
    bool update;
    char *image, *digest, *service, *compose;
    char **groups; /* names */
    unsigned confirm_deadline;
    usec_t offline_after;
    RolloutView view; /* without counts */
    RolloutBox *boxes;
    size_t n_boxes;
    Map *by_device;    /* → RolloutBox, borrowed */
    StoreQuery *query; /* a change that is being written; nothing else is decided meanwhile */
    int event;         /* that it is about, or -1 */
} Rollout;

struct Rollouts {
    Gateway *gateway;
    Map *map; /* by id, in the order of their beginning; owned */
    sd_event_source *timer;
    usec_t wake_at; /* what the timer is armed for; USEC_INFINITY: it is not */
    StoreQuery *reload;
    bool reload_again; /* something changed since it began */
    bool stale;        /* it could not be made */
};

void rollout_log(const Rollout *r, LogLevel level, const char *what);
void rollout_count(const Rollout *r, RolloutCounts counts[static ROLLOUT_GROUPS_MAX]);
/* Whether the box's agent is there to be sent to. */
bool rollout_box_is_here(const Gateway *g, const char *device);

/* Each writes one change, and sets `query` when it could be queued (else the next wake tries again). The copy
 * changes when the database has. */
void rollout_save_event(Rollout *r, RolloutEvent event);
void rollout_save_away(Rollout *r, char *const *devices);
void rollout_save_skip(Rollout *r, RolloutBox *box, const Error *why);

/* Wakes the requests that wait for news of it. */
void rollout_tell(const Rollout *r);

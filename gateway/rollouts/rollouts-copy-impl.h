/* SPDX-License-Identifier: MIT */
/* One rollout in memory. Private to this folder. */
#pragma once

#include <cjson/cJSON.h>

#include "gateway/rollouts/rollout-plan.h"
#include "gateway/rollouts/rollouts-copy.h"
#include "lib/base/error.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/base/map.h"

typedef struct RolloutBox {
    char *device;
    RolloutBoxState state, before; /* before its turn, while that is being written down */
    unsigned group;
    unsigned tries;    /* that did not count, since the gateway knows it */
    usec_t not_before; /* CLOCK_BOOTTIME, as the next */
    usec_t away_since; /* 0: it is connected, or nobody has looked yet */
} RolloutBox;

typedef struct Rollout {
    Rollouts *owner;
    char *id;
    bool update;
    char *image, *digest, *service, *compose, *target, *project;
    bool is_signed;
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
    sd_event *event;
    Store *store;
    Requests *requests;
    DeviceConns *conns;
    Deployments *deployments;
    Map *map; /* by id, in the order of their beginning; owned */
    sd_event_time_handler_t on_wake;
    void (*on_loaded)(Rollouts *rs); /* the copy was made anew, or could not be */
    sd_event_source *timer;
    usec_t wake_at; /* what the timer is armed for; USEC_INFINITY: it is not */
    StoreQuery *reload;
    bool reload_again;       /* something changed since it began */
    bool stale;              /* it could not be made */
    cJSON *halted;           /* the message of them; NULL: it is not known yet */
    uint64_t halted_edition; /* above 0 */
    StoreQuery *halted_query;
    bool halted_again, halted_stale; /* as above */
};

/* rollouts-copy.c */
/* For the map of them. */
void rollout_free_value(void *rollout);
void rollout_log(const Rollout *r, LogLevel level, const char *what);
/* Wakes the requests that wait for news of it. */
void rollout_tell(const Rollout *r);
/* Whether the box's agent is there to be sent to. */
bool rollout_box_is_here(const Rollouts *rs, const char *device);

/* Looks at all of them at this time, or earlier if that is planned. */
void rollouts_wake_at(Rollouts *rs, usec_t when, usec_t now);

/* SPDX-License-Identifier: MIT */
/* What a rollout does next. Pure: states, counts and the time go in, a decision comes out. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/clock.h"

/* one percent, in what shares are counted in */
#define ROLLOUT_PERCENT 100U
#define ROLLOUT_WHOLE (100 * ROLLOUT_PERCENT)

/* Once the first group has passed, fewer failures do not halt a rollout by their share of the boxes that have ended so far. */
#define ROLLOUT_FAILURES_FLOOR 3

typedef enum RolloutState {
    ROLLOUT_RUNNING,
    ROLLOUT_SOAKING,
    ROLLOUT_PAUSED,
    ROLLOUT_HALTED,
    ROLLOUT_ABORTED,
    ROLLOUT_DONE,
    _ROLLOUT_STATES,
} RolloutState;

typedef enum RolloutEvent {
    ROLLOUT_COMPLETE, /* nothing of the group is left to do */
    ROLLOUT_SOAKED,   /* the next group's turn */
    ROLLOUT_FINISH,   /* the last group has soaked */
    ROLLOUT_HALT,     /* too many have failed */
    ROLLOUT_PAUSE,
    ROLLOUT_RESUME,
    ROLLOUT_ABORT,
    _ROLLOUT_EVENTS,
} RolloutEvent;

/* One box in one rollout. */
typedef enum RolloutBoxState {
    ROLLOUT_BOX_WAITING,
    ROLLOUT_BOX_OFFLINE,
    ROLLOUT_BOX_SENT,
    ROLLOUT_BOX_DONE,
    ROLLOUT_BOX_FAILED,
    ROLLOUT_BOX_ROLLED_BACK,
    ROLLOUT_BOX_SKIPPED,
    _ROLLOUT_BOX_STATES,
} RolloutBoxState;

typedef enum RolloutBoxEvent {
    ROLLOUT_BOX_SEND,
    ROLLOUT_BOX_AWAY,  /* not connected for so long that its group goes on without it */
    ROLLOUT_BOX_RETRY, /* it was busy, or had just gone */
    ROLLOUT_BOX_HOLD,  /* somebody or something on the box holds updates back: its group goes on without it */
    ROLLOUT_BOX_WORKED,
    ROLLOUT_BOX_FAIL,
    ROLLOUT_BOX_ROLL_BACK,
    ROLLOUT_BOX_SKIP, /* it has nothing to update, or a later rollout has taken its place */
    _ROLLOUT_BOX_EVENTS,
} RolloutBoxEvent;

const char *rollout_state_to_string(RolloutState state);
int rollout_state_from_string(const char *name);
const char *rollout_event_to_string(RolloutEvent event);
/* The next state, or -EPROTO when the event is not possible. */
int rollout_next(RolloutState state, RolloutEvent event);

const char *rollout_box_state_to_string(RolloutBoxState state);
int rollout_box_state_from_string(const char *name);
const char *rollout_box_event_to_string(RolloutBoxEvent event);
int rollout_box_next(RolloutBoxState state, RolloutBoxEvent event);

/* Whether boxes of the groups that have started are sent to: also after the end, to those that come back. */
bool rollout_is_sending(RolloutState state);

/* What the end of a deployment means for its box: `outcome` and HTTP-like `status` of a compose.result, and the id of its error or
 * NULL. */
RolloutBoxEvent rollout_box_event(const char *outcome, unsigned status, const char *error);

typedef struct RolloutCounts {
    unsigned boxes;
    unsigned waiting, offline, sent, done, failed, skipped; /* failed: also rolled back */
    unsigned away;                                          /* of those done: not connected now */
} RolloutCounts;

typedef struct RolloutView {
    RolloutState state;
    const RolloutCounts *groups;
    size_t n_groups;
    size_t group;     /* the newest that has started */
    unsigned halt_at; /* of ROLLOUT_WHOLE */
    unsigned parallel;
    unsigned forgiven; /* failures before the last resume */
    usec_t soak, soaking_since;
} RolloutView;

typedef struct RolloutDecision {
    int event;         /* a RolloutEvent, or -1: nothing changes */
    unsigned may_send; /* so many more boxes may be in flight now */
    usec_t wake_at;    /* when the time alone changes the decision; USEC_INFINITY: never */
} RolloutDecision;

/* How many of all boxes may fail before the rollout halts: its share, and at least one. */
unsigned rollout_failures_max(const RolloutView *v);
unsigned rollout_boxes(const RolloutView *v);
/* Whether the share of those that have ended is what halts it; else, of one that has to halt, that so many of all boxes have failed
 * already. */
bool rollout_share_halts(const RolloutView *v);
/* Failures that count: since the last resume. `ret_attempted` gets how many boxes have ended, those included. */
unsigned rollout_failures(const RolloutView *v, unsigned *ret_attempted);

/* Whether the newest group that has started has shown nothing, since nobody in it had anything to do, and nobody before it
 * either: a canary that does not run the image. The next groups wait. */
bool rollout_proves_nothing(const RolloutView *v);

/* Decides. Promises, whatever order the results come in: failures and boxes in flight together never pass
 * rollout_failures_max(), so that no more boxes than that are ever hurt between two resumes. */
RolloutDecision rollout_decide(const RolloutView *v, usec_t now);

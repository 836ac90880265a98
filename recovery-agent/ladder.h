/* SPDX-License-Identifier: MIT */
/* What is tried when the main way is wedged, when, and how often at most. Pure: times and facts are parameters. */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/clock.h"
#include "lib/base/boot-id.h"

#define BUDGET_ENTRIES_MAX 32

typedef enum LadderStep {
    STEP_NONE,
    STEP_RECONNECT, /* the gateway gives the box's device tunnel up */
    STEP_RESTART,   /* of the main container */
    STEP_RECREATE,  /* from the current deployment */
    STEP_REBOOT,
    _STEPS,
} LadderStep;

/* The wall clock of a box may stand anywhere: what counts is the time since boot, then a clock that is known to be
 * possible. */
typedef struct LadderTime {
    usec_t boottime;
    const char *boot_id;
    uint64_t wall; /* seconds since 1970; 0 = the clock is not to be believed */
} LadderTime;

typedef struct BudgetEntry {
    LadderStep step;
    usec_t boottime;
    uint64_t wall;
    char boot_id[BOOT_ID_SIZE];
} BudgetEntry;

typedef struct Budget {
    BudgetEntry entries[BUDGET_ENTRIES_MAX]; /* oldest first */
    size_t n;
} Budget;

/* How often the step may be taken now: restart 1 in 2 min and 10 a day, recreate 1 in 10 min and 4 a day, reboot 1 an hour and
 * 3 a day. */
unsigned budget_left(const Budget *b, LadderStep step, const LadderTime *now);
void budget_spend(Budget *b, LadderStep step, const LadderTime *now);
/* The step spent last was not taken after all. */
void budget_refund(Budget *b);
/* An array; NULL when out of memory. */
cJSON *budget_to_json(const Budget *b);
/* -EINVAL when it is none. */
int budget_from_json(const cJSON *array, Budget *ret);

typedef struct LadderOptions {
    bool act, reboot; /* act false: people are let in, and that is all */
    usec_t restart_after, recreate_after, reboot_after; /* since the wedge */
    usec_t remote_after; /* the least when only the far end has noticed: a tunnel may still come back by itself */
    usec_t settle;       /* between the end of one step and the next */
} LadderOptions;

typedef struct Ladder {
    LadderStep last; /* taken since this wedge began */
    usec_t not_before;
} Ladder;

typedef struct LadderInput {
    LadderTime now;
    bool wedged, local; /* local: this box itself shows it, not only the far end */
    usec_t since;       /* of the wedge, CLOCK_BOOTTIME */
    bool was_healthy;   /* ever: a box that was never set up is not repaired */
    bool no_service;    /* the main container is not deployed: there is nothing to start again */
    bool operator_in;   /* someone works on it already */
    bool tunnel_up;
} LadderInput;

/* The step to take now, or STEP_NONE. */
LadderStep ladder_next(Ladder *l, const LadderOptions *o, const Budget *b, const LadderInput *in);
/* It is over. taken false: it was refused, and is tried again. */
void ladder_ended(Ladder *l, const LadderOptions *o, LadderStep step, bool taken, usec_t now);

const char *ladder_step_name(LadderStep step);

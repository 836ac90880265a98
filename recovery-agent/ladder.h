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
    STEP_RECONNECT, /* the gateway drops the box's device tunnel */
    STEP_RESTART,   /* restart the main container */
    STEP_RECREATE,  /* recreate it from the current deployment */
    STEP_REBOOT,
    _STEPS,
} LadderStep;

/* A box's wall clock may show anything: what counts is the time since boot, and after that a clock that is known to be
 * plausible. */
typedef struct LadderTime {
    usec_t boottime;
    const char *boot_id;
    uint64_t wall; /* seconds since 1970; 0 = the clock cannot be trusted */
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
/* The last step that was spent was not taken after all. */
void budget_refund(Budget *b);
/* An array; NULL when out of memory. */
cJSON *budget_to_json(const Budget *b);
/* -EINVAL when it is not such an array. */
int budget_from_json(const cJSON *array, Budget *ret);

typedef struct LadderOptions {
    bool act, reboot;                                   /* act false: people are let in, and nothing else is done */
    usec_t restart_after, recreate_after, reboot_after; /* since the wedge */
    usec_t remote_after; /* minimum when only the far end has noticed: a tunnel may still come back by itself */
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
    bool was_healthy;   /* at any time: a box that was never set up is not repaired */
    bool no_service;    /* the main container is not deployed: there is nothing to restart */
    bool operator_in;   /* somebody is already working on it */
    bool tunnel_up;
} LadderInput;

/* The step to take now, or STEP_NONE. */
LadderStep ladder_next(Ladder *l, const LadderOptions *o, const Budget *b, const LadderInput *in);
/* Whether the reboot that was asked for in this boot, in the last hour, has not come although it is still what to do. */
bool ladder_misses_reboot(const LadderOptions *o, const Budget *b, const LadderInput *in);
/* The step is over. taken false: it was refused, and will be tried again. */
void ladder_ended(Ladder *l, const LadderOptions *o, LadderStep step, bool taken, usec_t now);

const char *ladder_step_name(LadderStep step);

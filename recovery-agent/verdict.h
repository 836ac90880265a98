/* SPDX-License-Identifier: MIT */
/* Whether the main way into the box works. Pure: the results of one round of checks and two clocks go in, a state comes
 * out. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/clock.h"

#define VERDICT_CHECKS_MAX 16

typedef enum CheckResult {
    CHECK_UNKNOWN, /* cannot be told at present: proves nothing, and interrupts a row of failures */
    CHECK_GOOD,
    CHECK_BAD,
} CheckResult;

typedef enum VerdictState {
    VERDICT_STARTING, /* since the start, or since the machine slept: not yet healthy, not yet judged */
    VERDICT_HEALTHY,
    VERDICT_SUSPECT, /* a check has failed, but not often enough */
    VERDICT_WEDGED,
} VerdictState;

typedef struct VerdictOptions {
    unsigned failures; /* of one check in a row: wedged */
    unsigned good;     /* rounds in a row without any failure: healthy again */
    usec_t grace;      /* after the start nothing is judged */
    usec_t round;      /* longest time between two rounds when all is well */
} VerdictOptions;

typedef struct Verdict {
    VerdictState state;
    usec_t since;                         /* CLOCK_BOOTTIME of the state */
    usec_t judge_from;                    /* the end of the grace */
    usec_t last_boottime, last_monotonic; /* of the round before; 0 = there was none */
    unsigned bad[VERDICT_CHECKS_MAX];     /* failures in a row */
    unsigned why;                         /* bit i: check i has failed often enough in this wedge */
    unsigned good;                        /* good rounds in a row */
    bool was_healthy;                     /* ever */
} Verdict;

void verdict_init(Verdict *v, const VerdictOptions *o, usec_t boottime);
/* Judges nothing for a while, since something was restarted. Failures so far are forgotten, a wedge is not. */
void verdict_excuse(Verdict *v, usec_t until);

/* One round. boottime includes the time that the machine slept, monotonic does not: the difference is the sleep. A
 * round that comes late (this process was not running) counts against nothing. Returns true when the state changed. */
bool verdict_round(Verdict *v, const VerdictOptions *o, const CheckResult *results, size_t n, usec_t boottime,
                   usec_t monotonic);

/* Whether check i failed in the last round, or is the reason why the box is wedged: that is still reported while a step
 * is taking its time. */
bool verdict_blames(const Verdict *v, size_t i);

const char *verdict_state_name(VerdictState state);

/* SPDX-License-Identifier: MIT */
/* Whether the main way into the box serves. Pure: the results of one round of checks and two clocks in, a state out. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/clock.h"

#define VERDICT_CHECKS_MAX 16

typedef enum CheckResult {
    CHECK_UNKNOWN, /* cannot be told now: says nothing, and ends a row of failures */
    CHECK_GOOD,
    CHECK_BAD,
} CheckResult;

typedef enum VerdictState {
    VERDICT_STARTING, /* since the start, or since the machine slept: not healthy yet, not judged yet */
    VERDICT_HEALTHY,
    VERDICT_SUSPECT,  /* a check has failed, not often enough */
    VERDICT_WEDGED,
} VerdictState;

typedef struct VerdictOptions {
    unsigned failures; /* of one check in a row: wedged */
    unsigned good;     /* rounds in a row without any failure: healthy again */
    usec_t grace;      /* after the start nobody is judged */
    usec_t round;      /* how far rounds are apart, at most, when all is well */
} VerdictOptions;

typedef struct Verdict {
    VerdictState state;
    usec_t since;      /* CLOCK_BOOTTIME of the state */
    usec_t judge_from; /* the end of the grace */
    usec_t last_boottime, last_monotonic; /* of the round before; 0 = there was none */
    unsigned bad[VERDICT_CHECKS_MAX];     /* failures in a row */
    unsigned why;                         /* bit i: check i has failed often enough in this wedge */
    unsigned good;                        /* good rounds in a row */
    bool was_healthy;                     /* ever */
} Verdict;

void verdict_init(Verdict *v, const VerdictOptions *o, usec_t boottime);
/* Nobody is judged for a while: something was restarted. Failures so far are forgotten, a wedge is not. */
void verdict_excuse(Verdict *v, usec_t until);

/* One round. boottime counts sleep of the machine, monotonic does not: what they drift apart it slept. A round that comes late
 * (this process did not run) does not count against anybody. Returns true when the state changed. */
bool verdict_round(Verdict *v, const VerdictOptions *o, const CheckResult *results, size_t n, usec_t boottime,
                   usec_t monotonic);

/* Whether check i failed in the last round, or is why the box is wedged: that stays said while a step takes its time. */
bool verdict_blames(const Verdict *v, size_t i);

const char *verdict_state_name(VerdictState state);

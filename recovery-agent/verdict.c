/* SPDX-License-Identifier: MIT */
/* Three in a row, hysteresis, and the excuses: a start, a sleep of the machine, a process that was not given the CPU. */
#include "recovery-agent/verdict.h"

#include <string.h>

/* The clocks are read one after the other, and the kernel slews them: a smaller difference is not sleep. */
#define SLEEP_MIN (1 * USEC_PER_SEC)
/* After a sleep tunnels are dead on both sides and come back with backoff. */
#define SLEEP_GRACE (60 * USEC_PER_SEC)
#define LATE_ROUNDS 3

const char *verdict_state_name(VerdictState state)
{
    static const char *const names[] = {
        [VERDICT_STARTING] = "starting",
        [VERDICT_HEALTHY] = "healthy",
        [VERDICT_SUSPECT] = "suspect",
        [VERDICT_WEDGED] = "wedged",
    };
    return names[state];
}

void verdict_init(Verdict *v, const VerdictOptions *o, usec_t boottime)
{
    *v = (Verdict) { .since = boottime, .judge_from = boottime + o->grace };
}

static void forget_failures(Verdict *v)
{
    memset(v->bad, 0, sizeof(v->bad));
}

void verdict_excuse(Verdict *v, usec_t until)
{
    forget_failures(v);
    v->good = 0;
    if (until > v->judge_from)
        v->judge_from = until;
}

bool verdict_blames(const Verdict *v, size_t i)
{
    return v->bad[i] > 0 || (v->state == VERDICT_WEDGED && (v->why >> i & 1));
}

static bool enter(Verdict *v, VerdictState state, usec_t now)
{
    if (v->state == state)
        return false;
    v->state = state;
    v->since = now;
    v->was_healthy = v->was_healthy || state == VERDICT_HEALTHY;
    return true;
}

/* Whether this round counts. */
static bool judge_clocks(Verdict *v, const VerdictOptions *o, usec_t boottime, usec_t monotonic)
{
    usec_t boot = boottime - v->last_boottime, ran = monotonic - v->last_monotonic;
    bool first = v->last_boottime == 0;
    v->last_boottime = boottime;
    v->last_monotonic = monotonic;
    if (first)
        return true;
    if (boot > ran + SLEEP_MIN) {
        verdict_excuse(v, boottime + SLEEP_GRACE);
        return false;
    }
    if (boot > LATE_ROUNDS * o->round) {
        forget_failures(v);
        return false;
    }
    return true;
}

bool verdict_round(Verdict *v, const VerdictOptions *o, const CheckResult *results, size_t n, usec_t boottime,
                   usec_t monotonic)
{
    bool any_good = false, any_bad = false;
    unsigned why = 0;
    if (!judge_clocks(v, o, boottime, monotonic))
        return false;
    for (size_t i = 0; i < n && i < VERDICT_CHECKS_MAX; i++) {
        v->bad[i] = results[i] == CHECK_BAD ? v->bad[i] + 1 : 0;
        any_good = any_good || results[i] == CHECK_GOOD;
        any_bad = any_bad || results[i] == CHECK_BAD;
        why |= v->bad[i] >= o->failures ? 1u << i : 0;
    }
    v->good = any_bad ? 0 : any_good ? v->good + 1 : v->good;
    if (boottime < v->judge_from) {
        forget_failures(v);
        why = 0;
    }
    if (why) {
        v->why = why;
        return enter(v, VERDICT_WEDGED, boottime);
    }
    if (any_bad)
        return v->state == VERDICT_HEALTHY && enter(v, VERDICT_SUSPECT, boottime);
    if (v->state == VERDICT_SUSPECT || v->good >= o->good)
        return any_good && enter(v, VERDICT_HEALTHY, boottime);
    return false;
}

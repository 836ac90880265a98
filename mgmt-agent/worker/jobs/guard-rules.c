/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/worker/jobs/guard-rules.h"

static usec_t quiet_for(GuardWatch *w, const GuardView *v)
{
    if (v->locked || !w->watching || w->state != v->state || w->tries != v->tries || v->now < w->since)
        *w = (GuardWatch) { .watching = true, .state = v->state, .tries = v->tries, .since = v->now };
    return v->now - w->since;
}

static GuardStep while_confirming(const GuardView *v, usec_t quiet)
{
    if (v->confirmed)
        return quiet >= GUARD_STALLED_USEC / v->pace ? GUARD_COMMIT : GUARD_WAIT;
    if (v->stale)
        return quiet >= GUARD_LATE_USEC / v->pace ? GUARD_RENEW : GUARD_WAIT;
    return v->now >= v->deadline && v->now - v->deadline >= GUARD_LATE_USEC / v->pace ? GUARD_UNDO : GUARD_WAIT;
}

GuardStep guard_next(GuardWatch *w, const GuardView *v)
{
    usec_t quiet = quiet_for(w, v);

    if (v->locked)
        return GUARD_WAIT;
    switch (v->state) {
    case DEPLOY_CONFIRMING:
        return while_confirming(v, quiet);
    case DEPLOY_APPLYING:
    case DEPLOY_PROVING:
    case DEPLOY_COMMITTING:
    case DEPLOY_ROLLING_BACK:
        return quiet >= GUARD_STALLED_USEC / v->pace ? GUARD_RECOVER : GUARD_WAIT;
    default: /* nothing is under way, or nothing of it was touched, or it is left to a person */
        return GUARD_OVER;
    }
}

/* SPDX-License-Identifier: MIT */
/* Four reasons to be open, each with its own end. */
#include "recovery-agent/access.h"

#include <stddef.h>

#define ORDER_SECONDS_MAX 86400

void access_order(Access *a, bool break_glass, uint64_t seconds, usec_t now)
{
    usec_t until = now + (seconds > ORDER_SECONDS_MAX ? ORDER_SECONDS_MAX : seconds) * USEC_PER_SEC;
    if (break_glass && until > a->break_glass_until)
        a->break_glass_until = until;
    if (break_glass)
        return;
    a->cloud_since = now;
    if (until > a->cloud_until)
        a->cloud_until = until;
}

void access_update(Access *a, VerdictState state, usec_t healthy_for, usec_t close_after, usec_t now)
{
    a->started = a->started || state == VERDICT_HEALTHY;
    if (state == VERDICT_WEDGED)
        a->wedged = true;
    else if (healthy_for >= close_after)
        a->wedged = false;
    /* the far end may have seen what is hidden from here: it gets its minutes although all looks well */
    if (now >= a->cloud_until || (healthy_for >= close_after && now >= a->cloud_since + close_after))
        a->cloud_since = a->cloud_until = 0;
    if (now >= a->break_glass_until)
        a->break_glass_until = 0;
}

const char *access_reason(const Access *a, usec_t now)
{
    if (now < a->break_glass_until)
        return "break-glass";
    if (a->wedged)
        return "wedged";
    if (now < a->cloud_until)
        return "cloud";
    return a->started ? NULL : "starting";
}

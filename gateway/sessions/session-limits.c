/* SPDX-License-Identifier: MIT */
/* The end of a grant goes before the longest length, and both before silence: the first reason is the one that cannot be mended
 * by asking again. */
#include "gateway/sessions/session-limits.h"

SessionLimits session_limits_of_grant(usec_t now, usec_t grant_left, usec_t idle_limit)
{
    return (SessionLimits) { .ends_at = now + grant_left, .ends_by_grant = true, .idle_limit = idle_limit };
}

void session_limits_open(SessionLimits *l, usec_t now, usec_t longest)
{
    if (now + longest >= l->ends_at)
        return;
    l->ends_at = now + longest;
    l->ends_by_grant = false;
}

SessionVerdict session_limits_judge(const SessionLimits *l, const Idle *idle, usec_t now)
{
    usec_t idle_at = idle->active_at + l->idle_limit;

    if (now >= l->ends_at && l->ends_by_grant)
        return (SessionVerdict) { "grant.expired", "the grant has expired", 0 };
    if (now >= l->ends_at)
        return (SessionVerdict) { "session.too-long", "the session has reached the longest time that its grant allows",
                                  0 };
    if (idle_time(idle, now) >= l->idle_limit)
        return (SessionVerdict) { "session.idle", "nobody did anything for as long as the grant allows", 0 };
    return (SessionVerdict) { .look_again = idle_at < l->ends_at ? idle_at : l->ends_at };
}

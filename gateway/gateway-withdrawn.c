/* SPDX-License-Identifier: MIT */
/* A token, a sign-in or a grant that is withdrawn: what was open by it ends, and boxes are told of its certificates. */
#include "gateway/gateway-impl.h"
#include "gateway/store/withdrawn.h"
#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "lib/event/daemon.h"

/* Many at once are one reason to look. */
#define COALESCE (20 * USEC_PER_MSEC)

void gateway_listen_for_withdrawn(Store *s)
{
    if (store_query(s, (Statement) { .sql = SQL_LISTEN_WITHDRAWN }, NULL, NULL, NULL, NULL) < 0)
        log_debug("what is withdrawn is seen with the next round");
}

void gateway_look_for_withdrawn(Gateway *g)
{
    support_sessions_sweep(g->sessions);
    revocations_sweep(g->revocations);
    box_cameras_sweep(g->cameras);
    box_recordings_sweep(g->recordings);
}

static int on_time(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    Gateway *g = userdata;

    g->withdrawn_told = false;
    if (g->ready && store_is_up(g->store))
        gateway_look_for_withdrawn(g);
    return 0;
}

void gateway_on_store_told(Store *s _unused_, const char *channel, void *userdata)
{
    Gateway *g = userdata;

    if (!g->withdrawn_told && str_equal(channel, WITHDRAWN_CHANNEL))
        g->withdrawn_told = timer_arm(g->event, &g->withdrawn, COALESCE, on_time, g) >= 0;
}

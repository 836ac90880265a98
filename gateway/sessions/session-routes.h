/* SPDX-License-Identifier: MIT */
/* Finds a route into the box: tries one tunnel after the other, and takes the first from which sshd is heard. */
#pragma once

#include "gateway/sessions/session-object.h"

/* Tries the next route, or gives up. */
void support_session_try(SupportSession *v);
#define BRIDGE_ROUTE_USEC (3 * USEC_PER_SEC)
/* who has not said anything by then waits for the sshd's greeting */
#define BRIDGE_SHY_USEC (500 * USEC_PER_MSEC)

/* Gives this route so long from now on. */
void support_session_wait(SupportSession *v, usec_t time);
/* Goes on to the next route; `what` came of this one. */
void support_session_route_failed(SupportSession *v, const char *what);
void support_session_route_refused(SupportSession *v, const char *reason);
/* Asks recovery-agent to let support staff in, for as long as a session may last. */
void support_session_tell_recovery(SupportSession *v);

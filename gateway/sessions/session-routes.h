/* SPDX-License-Identifier: MIT */
/* Finds a route into the box: tries one tunnel after the other, and takes the first from which sshd is heard. */
#pragma once

#include "gateway/sessions/session-object.h"

/* Tries the next route, or gives up. */
void support_session_try(SupportSession *v);
/* Goes on to the next route; `what` came of this one. */
void support_session_route_failed(SupportSession *v, const char *what);
void support_session_route_refused(SupportSession *v, const char *reason);
/* Asks recovery-agent to let support staff in, for as long as a session may last. */
void support_session_tell_recovery(SupportSession *v);

/* SPDX-License-Identifier: MIT */
/* What ends a support session: its grant, its longest length, idleness, or whoever calls here. */
#pragma once

#include "gateway/sessions/session-object.h"

/* Resets what is open with the reason `id`, and lets the record follow. `sentence` NULL: the person is not told. */
void support_session_end(SupportSession *v, const char *id, const char *sentence);
/* Arms the timer that looks for these reasons. */
void support_session_watch(SupportSession *v, usec_t now);

/* SPDX-License-Identifier: MIT */
/* A session: one session of a person on a box, from the stream that an operator opens to the record of its end. It finds a
 * way in, passes bytes both routes, and ends when its grant, its clock or its person says so. */
#pragma once

#include <cjson/cJSON.h>

#include "gateway/sessions/operator.h"
#include "lib/mux/mux.h"

typedef struct SupportSession SupportSession;

/* An operator asks for a stream: takes or refuses it. */
void support_session_start(Gateway *g, Operator *o, MuxStream *s, const cJSON *open);

/* End at once what is open under a grant, or into a box. `id` is the stable reason and a literal, `sentence` for the person. */
void support_sessions_end_grant(Gateway *g, const char *grant, const char *id, const char *sentence);
void support_sessions_end_device(Gateway *g, const char *device, const char *id, const char *sentence);
/* Those that go, or are about to go, through the tunnel of one role. */
void support_sessions_end_way(Gateway *g, const char *device, Role role, const char *id, const char *sentence);
void support_sessions_end_all(Gateway *g, const char *id, const char *sentence);

/* How many people are in a box now. */
size_t support_sessions_open(const Gateway *g, const char *device);

/* Those that a token has opened, named by its hash. */
void support_sessions_end_token(Gateway *g, const char *token, const char *id, const char *sentence);

/* Writes what waits to be written, and looks for grants and tokens that somebody else has withdrawn: what they opened ends. */
void support_sessions_sweep(Gateway *g);

/* For the end of the program. */
void support_session_free(void *session);

/* SPDX-License-Identifier: MIT */
/* Bytes from one stream to the other. An sshd that greets and then hangs is no way in: until it goes on, what the operator says is
 * offered to it, and kept for the next one. */
#pragma once

#include "gateway/sessions/session-object.h"

/* The route is the way in: what its sshd has said so far goes to the operator. */
void support_session_open(SupportSession *v);

extern const MuxStreamEvents support_session_their_events, support_session_box_events;

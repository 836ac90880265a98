/* SPDX-License-Identifier: MIT */
/* Bytes from one stream to the other, from the box's first one on. */
#pragma once

#include "gateway/sessions/session-object.h"

extern const MuxStreamEvents support_session_their_events, support_session_box_events;

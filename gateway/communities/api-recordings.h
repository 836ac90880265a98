/* SPDX-License-Identifier: MIT */
/* POST /v1/devices/ID/recordings: a token with which somebody sees what a box's camera has recorded. */
#pragma once

#include "gateway/http/request.h"

/* Of a CommunityEvents, as pass_routes is: the first token of a community may make its key. */
extern const Route recording_routes[];

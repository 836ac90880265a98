/* SPDX-License-Identifier: MIT */
/* POST /v1/communities/C/guests/ID/pass: what a guest shows at the gate. */
#pragma once

#include "gateway/http/request.h"

/* Of a CommunityEvents: the first pass of a community makes its key, and that is a change of the community. */
extern const Route pass_routes[];

/* SPDX-License-Identifier: MIT */
/* Routes below /v1/communities/C about what its boxes have. */
#pragma once

#include "gateway/communities/community-sync.h"
#include "gateway/http/request.h"

typedef struct BoxApi {
    CommunitySync *sync;
} BoxApi;

extern const Route box_routes[]; /* of a BoxApi */

/* SPDX-License-Identifier: MIT */
/* Routes below /v1/communities: what communities consist of, row by row. */
#pragma once

#include "gateway/communities/row-check.h"
#include "gateway/http/request.h"

/* Told after a community has changed; `version` is its newest. */
typedef struct CommunityEvents {
    void (*on_changed)(const char *community, const char *epoch, uint64_t version, void *userdata);
    void *userdata;
} CommunityEvents;

extern const Route community_routes[]; /* of a CommunityEvents */

/* The id in the path's segment; on failure the request is answered and negative returned. */
int request_uuid(Request *c, unsigned arg, char ret[static UUID_SIZE]) _must_check_;
void request_fail_no_community(Request *c);

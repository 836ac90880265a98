/* SPDX-License-Identifier: MIT */
/* POST /v1/communities/C/import: a whole table from a file, in one transaction. */
#pragma once

#include "gateway/communities/api-communities.h"

typedef struct ImportApi {
    Store *store; /* for imports alone: each statement waits for the one before */
    const CommunityEvents *events;
} ImportApi;

extern const Route import_routes[]; /* of an ImportApi */

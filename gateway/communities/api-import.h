/* SPDX-License-Identifier: MIT */
/* POST /v1/communities/C/import: a whole table from a file, in one transaction. */
#pragma once

#include "gateway/communities/api-communities.h"

typedef struct ImportApi {
    Store *store; /* for imports alone: each statement waits for the one before */
    const CommunityEvents *events;
    size_t body_max;  /* of a file in one request */
    unsigned streams; /* such files that are under way */
} ImportApi;

/* How long the body of this request may be, if it is a file in one request; 0: it is none. */
size_t import_body_max(const ImportApi *api, const HttpExchange *x);

extern const Route import_routes[]; /* of an ImportApi */

/* SPDX-License-Identifier: MIT */
/* Which operator asks, and whether her role is enough. */
#pragma once

#include "gateway/http/request.h"

/* For operator_tokens_new(): those who wait go on. */
void operator_tokens_tell(uint64_t round, int r, void *requests);
/* Finds the owner of the token that the request shows, then runs the request; answers 401 when there is none, 403
 * auth.role when the route needs another role. */
void operator_authorize(Request *c);

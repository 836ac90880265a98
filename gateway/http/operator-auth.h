/* SPDX-License-Identifier: MIT */
/* Which operator asks, and whether her role is enough. */
#pragma once

#include "gateway/http/request.h"

/* Finds the owner of the token that the request shows, then calls the route's handler; answers 401 when there is none, 403
 * auth.role when the route needs another role. */
void operator_authorize(Request *c);

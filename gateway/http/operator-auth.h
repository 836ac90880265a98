/* SPDX-License-Identifier: MIT */
/* Which operator asks. */
#pragma once

#include "gateway/http/request.h"

/* Finds the owner of the token that the request shows, then calls the route's handler; answers 401 otherwise. */
void operator_authorize(Request *c);

/* SPDX-License-Identifier: MIT */
/* Routes about grants and about the sessions that were opened under them. */
#pragma once

#include "gateway/http/request.h"

extern const Route grant_routes[]; /* of the SupportSessions */

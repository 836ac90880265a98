/* SPDX-License-Identifier: MIT */
/* Routes that ask the box itself: its status, and what a compose file would change. */
#pragma once

#include "gateway/http/request.h"

extern const Route query_routes[]; /* of the DeviceQueries */

/* SPDX-License-Identifier: MIT */
/* How a box gets its first token, and the next ones. */
#pragma once

#include "gateway/http/request.h"

extern const Route claim_routes[]; /* of the Claims */

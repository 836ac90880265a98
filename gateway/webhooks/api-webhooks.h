/* SPDX-License-Identifier: MIT */
/* The operators' side of webhooks. */
#pragma once

#include "gateway/http/request.h"
#include "gateway/webhooks/webhooks.h"

extern const Route webhook_routes[]; /* of a Webhooks */

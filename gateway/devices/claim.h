/* SPDX-License-Identifier: MIT */
/* How a box gets its first token, and the next ones. */
#pragma once

#include "gateway/http/request.h"

/* POST /api/device/claim */
void claim_handle(Request *c);
/* POST /api/device/refresh-jwt */
void refresh_handle(Request *c);

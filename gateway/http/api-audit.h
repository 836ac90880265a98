/* SPDX-License-Identifier: MIT */
/* GET /v1/audit */
#pragma once

#include "gateway/http/request.h"

extern const Route audit_routes[]; /* without a module */

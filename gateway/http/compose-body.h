/* SPDX-License-Identifier: MIT */
/* The compose file in a request's body. */
#pragma once

#include <cjson/cJSON.h>

#include "lib/base/error.h"

/* Checks the member "compose" the way the box will; borrowed from the body. -EFBIG, -EINVAL (YAML), -EBADMSG (content), with
 * the place. */
int compose_body_check(const cJSON *body, const char **ret, Error *err) _must_check_;

/* SPDX-License-Identifier: MIT */
/* What an operator has signed, in a request's body. It is carried, and judged by nobody but the box. */
#pragma once

#include <cjson/cJSON.h>

#include "lib/base/error.h"

/* The member "order" as the text that is stored, new; NULL when there is none. -EINVAL order.malformed. */
int order_body_read(const cJSON *body, char **ret, Error *err) _must_check_;

/* SPDX-License-Identifier: MIT */
/* Whether a text is JSON (RFC 8259) within the caps of limits.h, without building anything. */
#pragma once

#include <stddef.h>

#include "lib/base/error.h"

/* One value with nothing after it; \u0000, lone surrogates and numbers of more than 60 characters are refused. Does not
 * check UTF-8 or duplicate keys. Errors: json.syntax, json.too-deep, json.too-large (too many values). */
int json_scan(const char *text, size_t len, Error *err) _must_check_;

/* SPDX-License-Identifier: MIT */
/* The first lines of an HTTP answer. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/buf.h"

#define HTTP_DATE_SIZE 40

/* IMF-fixdate (RFC 9110 §5.6.7), whatever the locale. */
void http_date_print(uint64_t seconds, char ret[static HTTP_DATE_SIZE]);

/* The body comes in chunks. */
#define HTTP_LENGTH_UNKNOWN UINT64_MAX

/* All up to the empty line. `headers` as in http_respond(). */
int answer_head_write(Buf *out, int status, const char *content_type, uint64_t len, bool keep_alive,
                      const char *const *headers) _must_check_;

/* SPDX-License-Identifier: MIT */
/* The part of a file that a client asks for (RFC 9110 §14). Pure. */
#pragma once

#include <stdint.h>

#include "lib/base/mem.h"

/* `text` is the value of Range, or NULL. 1: *ret_first and *ret_len say which part. 0: the whole file, also when more than
 * one part is asked for, or something that is not understood. -ERANGE: the file has no such part. */
int range_parse(const char *text, uint64_t size, uint64_t *ret_first, uint64_t *ret_len) _must_check_;

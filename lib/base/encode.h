/* SPDX-License-Identifier: MIT */
/* Base64 (RFC 4648 §4 and §5), hexadecimal, random bytes. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/base/mem.h"

/* New NUL-terminated strings, NULL when out of memory. base64url is without padding (RFC 7515). */
char *hex_encode(const void *data, size_t len);
/* Exactly n bytes from 2 * n digits. -EINVAL otherwise. */
int hex_decode(const char *text, uint8_t *ret, size_t n) _must_check_;
char *base64_encode(const void *data, size_t len);
char *base64url_encode(const void *data, size_t len);

/* Strict: no white space, canonical trailing bits, padding required (base64) or refused (base64url).
 * The data in *ret are followed by a NUL. -EINVAL or -ENOMEM. */
int base64_decode(const char *s, size_t len, uint8_t **ret, size_t *ret_len) _must_check_;
int base64url_decode(const char *s, size_t len, uint8_t **ret, size_t *ret_len) _must_check_;

/* From getrandom(2). Aborts the process if the kernel cannot give randomness: nothing safe can follow. */
void random_bytes(void *data, size_t len);
uint64_t random_u64(void);
/* Uniform in 0..bound-1; bound 0 gives 0. */
uint64_t random_below(uint64_t bound);

/* SPDX-License-Identifier: MIT */
/* SHA-256 and SHA-512 (FIPS 180-4) and HMAC (RFC 2104) with the former by libcrypto, and comparison in constant time. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/mem.h"

#define SHA256_SIZE 32
#define SHA256_HEX_SIZE 65
#define SHA512_SIZE 64

int sha256(const void *data, size_t len, uint8_t ret[static SHA256_SIZE]) _must_check_;
int sha512(const void *data, size_t len, uint8_t ret[static SHA512_SIZE]) _must_check_;
/* Lower-case hexadecimal with a NUL. */
int sha256_hex(const void *data, size_t len, char ret[static SHA256_HEX_SIZE]) _must_check_;
/* What can be read from a descriptor, from where it stands to its end, 64 KB at a time; written to `to` as it comes, where that is
 * not -1. *ret_len may be NULL. -EFBIG: more than `max` bytes; else what read(2) and write(2) say. */
int sha256_hex_fd(int from, int to, uint64_t max, uint64_t *ret_len, char ret[static SHA256_HEX_SIZE]) _must_check_;
int hmac_sha256(const void *key, size_t key_len, const void *data, size_t len,
                uint8_t ret[static SHA256_SIZE]) _must_check_;
/* Takes the same time whatever the content of strings of equal length; strings of unequal length differ at once. */
bool secret_equal(const char *a, const char *b);

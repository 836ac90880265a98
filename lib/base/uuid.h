/* SPDX-License-Identifier: MIT */
/* UUIDs (RFC 9562) as text: lower case, with hyphens. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/mem.h"

#define UUID_SIZE 37
#define UUID_BYTES 16
#define UUID_VERSION_AT 14 /* of the digit that tells how a UUID was made */

/* Whether this is a UUID as it is written here; NULL is none. */
bool uuid_is_valid(const char *text);

/* One that others have written, in letters of any case, as it is written here; -EINVAL when it is none, or NULL. */
int uuid_parse(const char *text, char ret[static UUID_SIZE]) _must_check_;

/* These bytes, but for the bits that tell the version and the variant. */
void uuid_format(const uint8_t bytes[static UUID_BYTES], unsigned version, char ret[static UUID_SIZE]);

/* Version 4: nothing but random bits. */
void uuid4_make(char ret[static UUID_SIZE]);

/* Version 7: 48 bits of time, then random ones; `random` gives the latter. Ids of one millisecond have no order. */
void uuid7_format(uint64_t unix_msec, const uint8_t random[static 10], char ret[static UUID_SIZE]);

/* One for now, by this machine's clock. */
void uuid7_make(char ret[static UUID_SIZE]);

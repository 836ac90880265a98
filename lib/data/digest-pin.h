/* SPDX-License-Identifier: MIT */
/* What is kept of a guard's PIN: scrypt (RFC 7914), as "$scrypt$ln=14,r=8,p=1$SALT$HASH" with base64url. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/mem.h"

#define PIN_HASH_SIZE 128
#define PIN_DIGITS_MIN 4
#define PIN_DIGITS_MAX 12

bool pin_is_valid(const char *pin);
/* With a new random salt. Takes some tens of milliseconds, and 16 MiB meanwhile. */
int pin_hash(const char *pin, char ret[static PIN_HASH_SIZE]) _must_check_;
/* 1: it is the PIN; 0: it is not. -EINVAL: the hash has another form. */
int pin_check(const char *pin, const char *hash) _must_check_;

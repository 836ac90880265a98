/* SPDX-License-Identifier: MIT */
/* SHA-1 by libcrypto, for the WebSocket handshake (RFC 6455 §4.2.2) and nothing else: it proves no authenticity. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/base/mem.h"

#define SHA1_SIZE 20

int sha1(const void *data, size_t len, uint8_t ret[static SHA1_SIZE]) _must_check_;

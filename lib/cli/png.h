/* SPDX-License-Identifier: MIT */
/* Pictures of black and white as PNG (RFC 2083), not compressed. */
#pragma once

#include <stdint.h>

#include "lib/base/buf.h"

/* One bit a pixel, 1 is white; each row begins with a byte of its own. */
int png_write(const uint8_t *bits, unsigned width, unsigned height, Buf *ret) _must_check_;

/* SPDX-License-Identifier: MIT */
/* A connection between two muxes that takes one frame at a time. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/mux/mux.h"

/* Whether there was a frame to carry. */
static inline bool mux_carry(Mux *from, Mux *to)
{
    uint8_t frame[MUX_HEADER_SIZE + MUX_FRAME_DATA_MAX];
    const uint8_t *data = NULL;
    size_t len = 0;
    if (mux_pull(from, boottime_usec(), frame, &data, &len) == 0)
        return false;
    if (len > 0)
        memcpy(frame + MUX_HEADER_SIZE, data, len);
    assert_true(mux_feed(to, frame, MUX_HEADER_SIZE + len, boottime_usec(), NULL) >= 0);
    return true;
}

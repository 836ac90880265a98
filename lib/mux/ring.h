/* SPDX-License-Identifier: MIT */
/* What one stream has to send and to keep for a replay: a ring that grows as needed. It does not shrink by itself:
 * giving memory back and taking it again for each burst would cost far more than the copying. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/base/mem.h"

typedef struct MuxRing {
    uint8_t *data; /* owned */
    size_t cap, start, len;
} MuxRing;

/* Where to write after the content, up to *ret_len bytes and never more than `room`. Tries to offer about `want` bytes;
 * fewer where the ring wraps around. NULL when there is no room or no memory. */
uint8_t *mux_ring_reserve(MuxRing *r, size_t want, size_t room, size_t cap_max, size_t *ret_len);
void mux_ring_commit(MuxRing *r, size_t len);
/* The contiguous bytes at `offset`. */
const uint8_t *mux_ring_peek(const MuxRing *r, size_t offset, size_t *ret_len);
/* Forgets the first `len` bytes. */
void mux_ring_drop(MuxRing *r, size_t len);
/* Makes it no larger than necessary: gone when it is empty. */
void mux_ring_fit(MuxRing *r);
void mux_ring_done(MuxRing *r);

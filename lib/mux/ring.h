/* SPDX-License-Identifier: MIT */
/* What one stream has to send and to keep for a replay: a ring that grows with need. It does not shrink by itself: to give
 * memory back and take it again for each burst costs far more than the copying. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/base/mem.h"

typedef struct MuxRing {
    uint8_t *data; /* owned */
    size_t cap, start, len;
} MuxRing;

/* Where to put bytes behind the content, up to *ret_len and never beyond `room`; about `want` are looked for, and fewer are
 * given where the ring wraps around. NULL when there is no room or no memory. */
uint8_t *mux_ring_reserve(MuxRing *r, size_t want, size_t room, size_t cap_max, size_t *ret_len);
void mux_ring_commit(MuxRing *r, size_t len);
/* The bytes at `offset` that lie together. */
const uint8_t *mux_ring_peek(const MuxRing *r, size_t offset, size_t *ret_len);
/* Forgets the first `len` bytes. */
void mux_ring_drop(MuxRing *r, size_t len);
/* No larger than need be: gone when it is empty. */
void mux_ring_fit(MuxRing *r);
void mux_ring_done(MuxRing *r);

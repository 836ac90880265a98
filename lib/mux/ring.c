/* SPDX-License-Identifier: MIT */
/* A ring that grows by doubling. */
#include "lib/mux/ring.h"

#include <string.h>

#define CAP_MIN ((size_t) 1024)
/* Smaller ones are not worth a copy to make them smaller still. */
#define CAP_LARGE ((size_t) 64 * 1024)

/* Copies the content into memory of its own size. */
static int resize(MuxRing *r, size_t cap)
{
    uint8_t *data = malloc(cap);
    if (!data)
        return -1;
    size_t first = r->cap - r->start < r->len ? r->cap - r->start : r->len;
    if (r->len > 0) {
        memcpy(data, r->data + r->start, first);
        memcpy(data + first, r->data, r->len - first);
    }
    free(r->data);
    r->data = data;
    r->cap = cap;
    r->start = 0;
    return 0;
}

uint8_t *mux_ring_reserve(MuxRing *r, size_t want, size_t room, size_t cap_max, size_t *ret_len)
{
    *ret_len = 0;
    if (want > room)
        want = room;
    if (want == 0)
        return NULL;
    if (r->cap - r->len < want && r->cap < cap_max) {
        size_t cap = r->cap * 2 > CAP_MIN ? r->cap * 2 : CAP_MIN;
        while (cap - r->len < want)
            cap *= 2;
        if (cap > cap_max)
            cap = cap_max;
        if (resize(r, cap) < 0 && r->cap == r->len)
            return NULL;
    }
    size_t end = r->start + r->len;
    size_t len = end >= r->cap ? r->cap - r->len : r->cap - end;
    *ret_len = len < room ? len : room;
    return *ret_len > 0 ? r->data + (end >= r->cap ? end - r->cap : end) : NULL;
}

void mux_ring_commit(MuxRing *r, size_t len)
{
    r->len += len < r->cap - r->len ? len : r->cap - r->len;
}

const uint8_t *mux_ring_peek(const MuxRing *r, size_t offset, size_t *ret_len)
{
    size_t at = r->start + offset;
    if (at >= r->cap)
        at -= r->cap;
    size_t together = r->cap - at, left = r->len - offset;
    *ret_len = together < left ? together : left;
    return r->data + at;
}

void mux_ring_drop(MuxRing *r, size_t len)
{
    if (len == 0)
        return;
    r->len -= len;
    r->start += len;
    if (r->start >= r->cap)
        r->start -= r->cap;
    if (r->len == 0)
        r->start = 0;
}

void mux_ring_fit(MuxRing *r)
{
    if (r->len == 0)
        mux_ring_done(r);
    else if (r->cap > CAP_LARGE && r->len <= r->cap / 4)
        (void) resize(r, r->len);
}

void mux_ring_done(MuxRing *r)
{
    free(r->data);
    *r = (MuxRing) {};
}

/* SPDX-License-Identifier: MIT */
/* One direction between two streams: what came from one and could not be written to the other yet, at most a window. */
#pragma once

#include "lib/base/buf.h"
#include "lib/mux/mux.h"

typedef struct Flow {
    MuxStream **from, **to; /* the owner's; NULL when over */
    Buf waiting;
    size_t start; /* bytes of `waiting` that are gone */
    uint64_t bytes;
    size_t offered;       /* bytes of `waiting` that `to` has, and that are kept for another one all the same */
    bool ended, finished; /* nothing more comes; and we have said so to the other side */
} Flow;

void flow_init(Flow *f, MuxStream **from, MuxStream **to);
void flow_done(Flow *f);
/* What `from` has said; it waits unless it may be written now. -EMSGSIZE, -ENOMEM. */
int flow_push(Flow *f, const uint8_t *data, size_t len, bool may_write) _must_check_;
/* Writes what waits, and keeps it: `to` may turn out to be the wrong one. Then it is forgotten, else it is the right one. */
void flow_offer(Flow *f);
void flow_take_back(Flow *f);
void flow_settle(Flow *f);
/* `to` has room again, or `ended` was set. */
void flow_flush(Flow *f);

/* SPDX-License-Identifier: MIT */
/* The last frames about streams that are gone. */
#include "lib/mux/mux-impl.h"

#include <errno.h>
#include <string.h>

static MuxFarewell *add(Mux *m, MuxKind kind, uint32_t id, uint64_t position, const void *data, size_t len)
{
    MuxFarewell **at = &m->farewells;
    MuxFarewell *f = malloc(sizeof *f + len);
    if (!f)
        return NULL;
    *f = (MuxFarewell) { .kind = kind, .at = m->now, .stream = id, .position = position, .len = len };
    memcpy(f->data, data, len);
    while (*at)
        at = &(*at)->next;
    *at = f;
    return f;
}

/* A reason from inside may be anything; what goes out is what a peer accepts. */
int mux_farewell_reset(Mux *m, uint32_t id, const char *reason)
{
    char text[MUX_REASON_MAX];
    size_t len = 0;
    if (!reason || !*reason)
        reason = "stream.reset";
    for (; reason[len] && len < sizeof text; len++)
        text[len] = reason[len] >= ' ' && reason[len] <= '~' ? reason[len] : '?';
    return add(m, MUX_FRAME_RESET, id, 0, text, len) ? 0 : -ENOMEM;
}

int mux_farewell_end(const MuxStream *s)
{
    uint8_t received[8];
    mux_put_u64(received, s->received);
    MuxFarewell *f = add(s->mux, MUX_FRAME_CREDIT, s->id, s->limit, received, sizeof received);
    if (!f)
        return -ENOMEM;
    if (s->end_reported)
        mux_farewell_sent(s->mux, f);
    return 0;
}

MuxFarewell *mux_farewell_find(const Mux *m, uint32_t id)
{
    MuxFarewell *f = m->farewells;
    while (f && f->stream != id)
        f = f->next;
    return f;
}

MuxFarewell *mux_farewell_next(const Mux *m)
{
    MuxFarewell *f = m->farewells;
    while (f && f->is_sent)
        f = f->next;
    return f;
}

/* The oldest of those that were sent is forgotten. */
void mux_farewell_sent(Mux *m, MuxFarewell *f)
{
    MuxFarewell **oldest = NULL;
    unsigned n = 0;
    f->is_sent = true;
    f->at = m->now;
    for (MuxFarewell **at = &m->farewells; *at; at = &(*at)->next)
        if ((*at)->is_sent) {
            oldest = oldest ? oldest : at;
            n++;
        }
    if (n <= MUX_FAREWELLS_KEPT)
        return;
    MuxFarewell *old = *oldest;
    *oldest = old->next;
    free(old);
}

usec_t mux_farewells_tick(Mux *m)
{
    usec_t next = USEC_INFINITY;
    for (MuxFarewell **at = &m->farewells; *at;) {
        MuxFarewell *f = *at;
        if (m->is_attached && !f->is_sent) {
            at = &f->next;
        } else if (m->now - f->at >= MUX_GRACE) {
            *at = f->next;
            free(f);
        } else {
            next = f->at + MUX_GRACE < next ? f->at + MUX_GRACE : next;
            at = &f->next;
        }
    }
    return next;
}

void mux_farewells_clear(Mux *m)
{
    while (m->farewells) {
        MuxFarewell *f = m->farewells;
        m->farewells = f->next;
        free(f);
    }
}

bool mux_farewells_full(const Mux *m)
{
    unsigned n = 0;
    for (const MuxFarewell *f = m->farewells; f; f = f->next)
        n += !f->is_sent;
    return n >= MUX_FAREWELLS_MAX;
}

/* SPDX-License-Identifier: MIT */
/* Frames to bytes and back. */
#include "lib/mux/frame.h"

#include <errno.h>
#include <stdbool.h>

#include "lib/base/limits.h"

typedef struct Rule {
    const char *name;
    size_t min, max;   /* payload */
    uint8_t flags;     /* that it may have */
    bool has_position; /* otherwise 0 */
    bool is_session;   /* stream id 0, otherwise not */
} Rule;

static const Rule rules[_MUX_FRAME_KINDS] = {
    [MUX_FRAME_OPEN] = { "open", 2, MUX_OPEN_MAX, 0, false, false },
    [MUX_FRAME_DATA] = { "data", 1, MUX_FRAME_DATA_MAX, 0, true, false },
    [MUX_FRAME_CREDIT] = { "credit", 8, 8, MUX_FLAG_ENDED, true, false },
    [MUX_FRAME_HALF_CLOSE] = { "half-close", 0, 0, 0, true, false },
    [MUX_FRAME_RESET] = { "reset", 1, MUX_REASON_MAX, 0, false, false },
    [MUX_FRAME_GO_AWAY] = { "go-away", 0, 0, 0, false, true },
    [MUX_FRAME_RESUME] = { "resume", 2, MUX_RESUME_MAX, 0, true, false },
};

static void put(uint8_t *to, uint64_t value, unsigned bytes)
{
    for (unsigned i = bytes; i-- > 0; value >>= 8)
        to[i] = (uint8_t) value;
}

static uint64_t get(const uint8_t *from, unsigned bytes)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; i++)
        value = value << 8 | from[i];
    return value;
}

void mux_put_u64(uint8_t to[static 8], uint64_t value)
{
    put(to, value, 8);
}

uint64_t mux_get_u64(const uint8_t from[static 8])
{
    return get(from, 8);
}

void mux_frame_encode(const MuxFrame *f, uint8_t header[static MUX_HEADER_SIZE])
{
    header[0] = (uint8_t) f->kind;
    header[1] = f->flags;
    put(header + 2, 0, 2);
    put(header + 4, f->stream, 4);
    put(header + 8, f->position, 8);
}

static bool is_printable(const uint8_t *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (text[i] < ' ' || text[i] > '~')
            return false;
    return true;
}

int mux_frame_decode(const uint8_t *data, size_t len, MuxFrame *ret, Error *err)
{
    if (len < MUX_HEADER_SIZE)
        return error_set(err, EPROTO, "mux.protocol", "a frame of %zu bytes has no whole header", len);
    if (data[0] == 0 || data[0] >= _MUX_FRAME_KINDS)
        return error_set(err, EPROTO, "mux.protocol", "a frame of the unknown kind %u", data[0]);
    MuxFrame f = {
        .kind = (MuxKind) data[0],
        .flags = data[1],
        .stream = (uint32_t) get(data + 4, 4),
        .position = get(data + 8, 8),
        .data = data + MUX_HEADER_SIZE,
        .len = len - MUX_HEADER_SIZE,
    };
    const Rule *rule = &rules[f.kind];
    if ((f.flags & ~rule->flags) != 0 || get(data + 2, 2) != 0)
        return error_set(err, EPROTO, "mux.protocol", "a %s frame with unknown flags or reserved bytes", rule->name);
    if ((f.stream == 0) != rule->is_session)
        return error_set(err, EPROTO, "mux.protocol", "a %s frame with the stream id %u", rule->name, f.stream);
    if (f.position != 0 && !rule->has_position)
        return error_set(err, EPROTO, "mux.protocol", "a %s frame with a position", rule->name);
    if (f.len < rule->min || f.len > rule->max)
        return error_set(err, EPROTO, "mux.protocol", "a %s frame with %zu bytes of payload", rule->name, f.len);
    if (f.kind == MUX_FRAME_RESET && !is_printable(f.data, f.len))
        return error_set(err, EPROTO, "mux.protocol", "a reset frame whose reason is not printable");
    *ret = f;
    return 0;
}

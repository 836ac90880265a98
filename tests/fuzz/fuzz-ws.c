/* SPDX-License-Identifier: MIT */
/* The WebSocket decoder, in both roles: cut into pieces or whole, the same bytes must give the same events. The first
 * byte chooses role and size of the pieces. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/strv.h"
#include "lib/websocket/codec.h"

#define MESSAGE_MAX 4096

typedef struct Trace {
    uint64_t hash;
    unsigned events;
    uint16_t failed;
} Trace;

static void mix(Trace *t, const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        t->hash = (t->hash ^ data[i]) * UINT64_C(0x100000001b3);
}

static void check_event(const WsEvent *e)
{
    if (e->len > MESSAGE_MAX || (e->opcode != WS_BINARY && e->data[e->len] != 0))
        abort();
    if (e->opcode == WS_TEXT && !utf8_is_valid((const char *) e->data, e->len))
        abort();
    if (e->opcode == WS_CLOSE && e->code != 1005 && !ws_close_code_is_valid(e->code))
        abort();
}

static Trace run(WsRole role, const uint8_t *data, size_t len, size_t step)
{
    Trace t = { .hash = UINT64_C(0xcbf29ce484222325) };
    WsDecoder d;
    ws_decoder_init(&d, role, MESSAGE_MAX);
    for (size_t at = 0; at < len && !t.failed; at += step) {
        size_t n = len - at < step ? len - at : step, done = 0;
        for (int r = 1; r > 0;) {
            WsEvent event = {};
            size_t used = 0;
            r = ws_decode(&d, data + at + done, n - done, &used, &event, NULL);
            done += used;
            if (done > n || (r == 0 && done != n))
                abort();
            if (r > 0) {
                check_event(&event);
                mix(&t, event.data, event.len);
                mix(&t, (const uint8_t *) &event.opcode, 1);
                t.events++;
            } else if (r < 0) {
                t.failed = d.close_code;
            }
        }
    }
    ws_decoder_done(&d);
    return t;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    WsRole role = data[0] & 1 ? WS_CLIENT : WS_SERVER;
    Trace whole = run(role, data + 1, size - 1, SIZE_MAX / 2);
    Trace pieces = run(role, data + 1, size - 1, 1 + (data[0] >> 1));
    if (whole.hash != pieces.hash || whole.events != pieces.events || whole.failed != pieces.failed)
        abort();
    return 0;
}

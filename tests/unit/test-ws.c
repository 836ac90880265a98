/* SPDX-License-Identifier: MIT */
/* RFC 6455 conformance of the codec: every case in both roles, fed whole, in pieces and byte by byte, must give the
 * same events. The numbers in the names are the classes of the well-known conformance suite. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/encode.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/websocket/handshake.h"
#include "lib/websocket/codec.h"

enum { FIN = 0x80, RSV1 = 0x40, RSV2 = 0x20, RSV3 = 0x10, C = 0, T = 1, B = 2, CLOSE = 8, PING = 9, PONG = 10 };

typedef struct Frame {
    unsigned head;
    const char *data;
    size_t len;    /* of data when it holds NULs; else strlen */
    size_t fill;   /* without data: that many '*' */
    size_t repeat; /* 0 = once */
} Frame;

/* The log of events: T[text] or T#size for long ones, B…, P…, O… (pong), C<code>[reason], X<code> for a failure. */
typedef struct Case {
    const char *name;
    Frame frames[8];
    const char *expect;
} Case;

#define X125                                                                                                           \
    "*****************************************************************************************************"            \
    "************************"
#define KOSME "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5"

static const Case cases[] = {
    { "1.1.1 empty text", { { FIN | T, "", 0, 0, 0 } }, "T[]" },
    { "1.1.2 text 125", { { FIN | T, NULL, 0, 125, 0 } }, "T#125" },
    { "1.1.3 text 126", { { FIN | T, NULL, 0, 126, 0 } }, "T#126" },
    { "1.1.4 text 127", { { FIN | T, NULL, 0, 127, 0 } }, "T#127" },
    { "1.1.5 text 128", { { FIN | T, NULL, 0, 128, 0 } }, "T#128" },
    { "1.1.6 text 65535", { { FIN | T, NULL, 0, 65535, 0 } }, "T#65535" },
    { "1.1.7 text 65536", { { FIN | T, NULL, 0, 65536, 0 } }, "T#65536" },
    { "1.2.1 empty binary", { { FIN | B, "", 0, 0, 0 } }, "B[]" },
    { "1.2.2 binary 125", { { FIN | B, NULL, 0, 125, 0 } }, "B#125" },
    { "1.2.6 binary 65535", { { FIN | B, NULL, 0, 65535, 0 } }, "B#65535" },
    { "1.2.7 binary 65536", { { FIN | B, NULL, 0, 65536, 0 } }, "B#65536" },
    { "1.2.9 binary is no text", { { FIN | B, "\xff\0\xfe", 3, 0, 0 } }, "B#3" },
    { "2.1 ping", { { FIN | PING, "", 0, 0, 0 } }, "P[]" },
    { "2.2 ping with text", { { FIN | PING, "Hello, world!", 0, 0, 0 } }, "P[Hello, world!]" },
    { "2.3 ping with binary", { { FIN | PING, "\0\xff\xfe", 3, 0, 0 } }, "P#3" },
    { "2.4 ping 125", { { FIN | PING, X125, 0, 0, 0 } }, "P#125" },
    { "2.5 ping 126", { { FIN | PING, NULL, 0, 126, 0 } }, "X1002" },
    { "2.7 pong unasked", { { FIN | PONG, "", 0, 0, 0 } }, "O[]" },
    { "2.8 pong with payload, then ping",
      { { FIN | PONG, "abc", 0, 0, 0 }, { FIN | PING, "q", 0, 0, 0 } },
      "O[abc]P[q]" },
    { "2.10 ten pings", { { FIN | PING, "p", 0, 0, 10 } }, "P[p]P[p]P[p]P[p]P[p]P[p]P[p]P[p]P[p]P[p]" },
    { "3.1 RSV3", { { FIN | RSV3 | T, "x", 0, 0, 0 } }, "X1002" },
    { "3.2 good text, then RSV2",
      { { FIN | T, "ok", 0, 0, 0 }, { FIN | RSV2 | T, "x", 0, 0, 0 }, { FIN | PING, "", 0, 0, 0 } },
      "T[ok]X1002" },
    { "3.4 RSV1 (compression)", { { FIN | RSV1 | T, "x", 0, 0, 0 } }, "X1002" },
    { "3.5 RSV on binary", { { FIN | RSV1 | RSV3 | B, "x", 0, 0, 0 } }, "X1002" },
    { "3.6 RSV on ping", { { FIN | RSV1 | RSV2 | PING, "x", 0, 0, 0 } }, "X1002" },
    { "3.7 RSV on close", { { FIN | RSV1 | RSV2 | RSV3 | CLOSE, "", 0, 0, 0 } }, "X1002" },
    { "4.1.1 opcode 3", { { FIN | 3, "", 0, 0, 0 } }, "X1002" },
    { "4.1.2 opcode 4", { { FIN | 4, "x", 0, 0, 0 } }, "X1002" },
    { "4.1.3 opcode 5 after text", { { FIN | T, "a", 0, 0, 0 }, { FIN | 5, "", 0, 0, 0 } }, "T[a]X1002" },
    { "4.1.4 opcode 6", { { FIN | 6, "x", 0, 0, 0 } }, "X1002" },
    { "4.1.5 opcode 7", { { FIN | 7, "x", 0, 0, 0 } }, "X1002" },
    { "4.2.1 opcode 11", { { FIN | 11, "", 0, 0, 0 } }, "X1002" },
    { "4.2.2 opcode 12", { { FIN | 12, "x", 0, 0, 0 } }, "X1002" },
    { "4.2.3 opcode 13", { { FIN | 13, "x", 0, 0, 0 } }, "X1002" },
    { "4.2.4 opcode 14", { { FIN | 14, "x", 0, 0, 0 } }, "X1002" },
    { "4.2.5 opcode 15", { { FIN | 15, "x", 0, 0, 0 } }, "X1002" },
    { "5.1 fragmented ping", { { PING, "a", 0, 0, 0 }, { FIN | C, "b", 0, 0, 0 } }, "X1002" },
    { "5.2 fragmented pong", { { PONG, "a", 0, 0, 0 }, { FIN | C, "b", 0, 0, 0 } }, "X1002" },
    { "5.3 two fragments", { { T, "frag1", 0, 0, 0 }, { FIN | C, "frag2", 0, 0, 0 } }, "T[frag1frag2]" },
    { "5.6 ping inside",
      { { T, "frag1", 0, 0, 0 }, { FIN | PING, "p", 0, 0, 0 }, { FIN | C, "frag2", 0, 0, 0 } },
      "P[p]T[frag1frag2]" },
    { "5.9 continuation of nothing", { { FIN | C, "x", 0, 0, 0 }, { FIN | T, "y", 0, 0, 0 } }, "X1002" },
    { "5.12 open continuation of nothing", { { C, "x", 0, 0, 0 }, { FIN | T, "y", 0, 0, 0 } }, "X1002" },
    { "5.15 continuation after the end",
      { { T, "a", 0, 0, 0 }, { FIN | C, "b", 0, 0, 0 }, { C, "c", 0, 0, 0 }, { FIN | T, "d", 0, 0, 0 } },
      "T[ab]X1002" },
    { "5.18 text inside text", { { T, "a", 0, 0, 0 }, { FIN | T, "b", 0, 0, 0 } }, "X1002" },
    { "5.18b binary inside text", { { T, "a", 0, 0, 0 }, { FIN | B, "b", 0, 0, 0 } }, "X1002" },
    { "5.19 pings between five",
      { { T, "1", 0, 0, 0 },
        { C, "2", 0, 0, 0 },
        { FIN | PING, "a", 0, 0, 0 },
        { C, "3", 0, 0, 0 },
        { C, "4", 0, 0, 0 },
        { FIN | PING, "b", 0, 0, 0 },
        { FIN | C, "5", 0, 0, 0 } },
      "P[a]P[b]T[12345]" },
    { "5.20 empty fragments", { { B, "", 0, 0, 0 }, { C, "", 0, 0, 3 }, { FIN | C, "z", 0, 0, 0 } }, "B[z]" },
    { "6.1.1 three empty", { { T, "", 0, 0, 0 }, { C, "", 0, 0, 0 }, { FIN | C, "", 0, 0, 0 } }, "T[]" },
    { "6.2.1 greek in one",
      { { FIN | T, "Hello-\xc2\xb5@\xc3\x9f\xc3\xb6\xc3\xa4\xe2\x82\xac-UTF-8!!", 0, 0, 0 } },
      "T[Hello-\xc2\xb5@\xc3\x9f\xc3\xb6\xc3\xa4\xe2\x82\xac-UTF-8!!]" },
    { "6.2.3 a character over three frames",
      { { T, "\xe2", 0, 0, 0 }, { C, "\x82", 0, 0, 0 }, { FIN | C, "\xac", 0, 0, 0 } },
      "T[\xe2\x82\xac]" },
    { "6.2.4 with a ping inside the character",
      { { T, "\xe2\x82", 0, 0, 0 }, { FIN | PING, "\xff", 0, 0, 0 }, { FIN | C, "\xac", 0, 0, 0 } },
      "P[\xff]T[\xe2\x82\xac]" },
    { "6.3.1 surrogate",
      { { FIN | T,
          KOSME "\xed\xa0\x80"
                "edited",
          0, 0, 0 } },
      "X1007" },
    { "6.3.2 the same, fragmented", { { T, KOSME "\xed", 0, 0, 0 }, { FIN | C, "\xa0\x80", 0, 0, 0 } }, "X1007" },
    { "6.4.1 fails in an unfinished message",
      { { T, KOSME, 0, 0, 0 }, { C, "\xf4\x90", 0, 0, 0 }, { FIN | PING, "never seen", 0, 0, 0 } },
      "X1007" },
    { "6.4.3 fails in an unfinished frame",
      { { T,
          KOSME "\xf4\x90\x80\x80"
                "edited",
          0, 0, 0 } },
      "X1007" },
    { "6.6 cut off at the end", { { FIN | T, "\xe2\x82", 0, 0, 0 } }, "X1007" },
    { "6.6b cut off at the end, fragmented", { { T, "\xe2", 0, 0, 0 }, { FIN | C, "\x82", 0, 0, 0 } }, "X1007" },
    { "7.1.1 close", { { FIN | CLOSE, "", 0, 0, 0 } }, "C1005[]" },
    { "7.1.2 two closes", { { FIN | CLOSE, "", 0, 0, 2 } }, "C1005[]" },
    { "7.1.3 ping after close", { { FIN | CLOSE, "\x03\xe8", 2, 0, 0 }, { FIN | PING, "", 0, 0, 0 } }, "C1000[]" },
    { "7.1.4 text after close", { { FIN | CLOSE, "\x03\xe8", 2, 0, 0 }, { FIN | T, "x", 0, 0, 0 } }, "C1000[]" },
    { "7.1.5 close inside a message",
      { { T, "a", 0, 0, 0 }, { FIN | CLOSE, "\x03\xe8", 2, 0, 0 }, { FIN | C, "b", 0, 0, 0 } },
      "C1000[]" },
    { "7.1.6 garbage after close",
      { { FIN | T, NULL, 0, 262144, 0 }, { FIN | CLOSE, "\x03\xe9", 2, 0, 0 }, { FIN | RSV1 | 7, "x", 0, 0, 0 } },
      "T#262144C1001[]" },
    { "7.3.2 half a code", { { FIN | CLOSE, "\x03", 1, 0, 0 } }, "X1002" },
    { "7.3.4 code and reason",
      { { FIN | CLOSE,
          "\x03\xe8"
          "bye",
          5, 0, 0 } },
      "C1000[bye]" },
    { "7.3.5 longest reason", { { FIN | CLOSE, "\x03\xe8" X125, 125, 0, 0 } }, "C1000#123" },
    { "7.3.6 too long", { { FIN | CLOSE, "\x03\xe8" X125, 126, 0, 0 } }, "X1002" },
    { "7.5.1 reason is no text", { { FIN | CLOSE, "\x03\xe8\xce\xba\xed\xa0\x80", 7, 0, 0 } }, "X1007" },
    { "7.5.1b reason is cut off", { { FIN | CLOSE, "\x03\xe8\xce", 3, 0, 0 } }, "X1007" },
    { "7.x fragmented close", { { CLOSE, "\x03\xe8", 2, 0, 0 } }, "X1002" },
    { "9.1 text 1 MiB", { { FIN | T, NULL, 0, WS_MESSAGE_MAX, 0 } }, "T#1048576" },
    { "9.1b one byte over", { { FIN | T, NULL, 0, WS_MESSAGE_MAX + 1, 0 } }, "X1009" },
    { "9.2 binary 256 KiB", { { FIN | B, NULL, 0, 262144, 0 } }, "B#262144" },
    { "9.3 1 MiB in fragments",
      { { T, NULL, 0, 1024, 0 }, { C, NULL, 0, 1024, 1022 }, { FIN | C, NULL, 0, 1024, 0 } },
      "T#1048576" },
    { "9.4 over the sum", { { B, NULL, 0, 600000, 0 }, { C, NULL, 0, 600000, 0 } }, "X1009" },
    { "9.5 1024 fragments", { { B, "a", 0, 0, 0 }, { C, "b", 0, 0, 1022 }, { FIN | C, "c", 0, 0, 0 } }, "B#1024" },
    { "9.6 1025 fragments", { { B, "a", 0, 0, 0 }, { C, "b", 0, 0, 1023 }, { FIN | C, "c", 0, 0, 0 } }, "X1009" },
    { "9.7 the count starts again",
      { { B, "a", 0, 0, 0 },
        { C, "b", 0, 0, 1022 },
        { FIN | C, "c", 0, 0, 0 },
        { T, "d", 0, 0, 0 },
        { FIN | C, "e", 0, 0, 0 } },
      "B#1024T[de]" },
};

static const struct {
    const char *bytes;
    size_t len;
    bool valid;
} texts[] = {
#define GOOD(s)                                                                                                        \
    {                                                                                                                  \
        s, sizeof(s) - 1, true                                                                                         \
    }
#define BAD(s)                                                                                                         \
    {                                                                                                                  \
        s, sizeof(s) - 1, false                                                                                        \
    }
    GOOD(KOSME),
    GOOD("\xc2\x80"),
    GOOD("\xe0\xa0\x80"),
    GOOD("\xf0\x90\x80\x80"),
    GOOD("\x7f"),
    GOOD("\xdf\xbf"),
    GOOD("\xef\xbf\xbf"),
    GOOD("\xf4\x8f\xbf\xbf"),
    GOOD("\xed\x9f\xbf"),
    GOOD("\xee\x80\x80"),
    GOOD("\xef\xbf\xbd"),
    GOOD("\0"),
    GOOD("\xf0\x9f\xbf\xbe"),
    GOOD("\xef\xbf\xbe"),
    BAD("\xf8\x88\x80\x80\x80"),
    BAD("\xfc\x84\x80\x80\x80\x80"),
    BAD("\xf7\xbf\xbf\xbf"),
    BAD("\xf4\x90\x80\x80"),
    BAD("\x80"),
    BAD("\xbf"),
    BAD("\x80\xbf"),
    BAD("\xc0 "),
    BAD("\xe0 "),
    BAD("\xf0 "),
    BAD("\xc0"),
    BAD("\xe0\x80"),
    BAD("\xf0\x80\x80"),
    BAD("\xdf"),
    BAD("\xef\xbf"),
    BAD("\xf7\xbf\xbf"),
    BAD("\xfe"),
    BAD("\xff"),
    BAD("\xfe\xfe\xff\xff"),
    BAD("\xc0\xaf"),
    BAD("\xe0\x80\xaf"),
    BAD("\xf0\x80\x80\xaf"),
    BAD("\xc1\xbf"),
    BAD("\xe0\x9f\xbf"),
    BAD("\xf0\x8f\xbf\xbf"),
    BAD("\xc0\x80"),
    BAD("\xed\xa0\x80"),
    BAD("\xed\xad\xbf"),
    BAD("\xed\xb0\x80"),
    BAD("\xed\xbf\xbf"),
    BAD("\xed\xa0\x80\xed\xb0\x80"),
    BAD("\xce\xba\xe1\xbd"),
    BAD("ok \xe2\x28\xa1"),
    BAD("\xf5\x80\x80\x80"),
};

static const struct {
    uint16_t code;
    bool valid;
} codes[] = {
    { 1000, true },  { 1001, true },  { 1002, true },  { 1003, true },   { 1007, true },  { 1008, true },
    { 1009, true },  { 1010, true },  { 1011, true },  { 1012, true },   { 1013, true },  { 1014, true },
    { 3000, true },  { 3999, true },  { 4000, true },  { 4999, true },   { 0, false },    { 999, false },
    { 1004, false }, { 1005, false }, { 1006, false }, { 1015, false },  { 1016, false }, { 1100, false },
    { 2000, false }, { 2999, false }, { 5000, false }, { 65535, false },
};

/* Frames as no encoder would write them: raw headers. */
static const struct {
    const char *name;
    WsRole role;
    const char *bytes;
    size_t len;
    const char *expect;
} raw[] = {
#define RAW(s) s, sizeof(s) - 1
    { "unmasked to a server", WS_SERVER, RAW("\x81\x01x"), "X1002" },
    { "masked to a client", WS_CLIENT, RAW("\x81\x81\0\0\0\0x"), "X1002" },
    { "masked ping to a client", WS_CLIENT, RAW("\x89\x80\0\0\0\0"), "X1002" },
    { "125 in 16 bits", WS_CLIENT, RAW("\x81\x7e\x00\x7d"), "X1002" },
    { "0 in 16 bits", WS_SERVER, RAW("\x81\xfe\x00\x00\0\0\0\0"), "X1002" },
    { "65535 in 64 bits", WS_CLIENT, RAW("\x82\x7f\0\0\0\0\0\0\xff\xff"), "X1002" },
    { "1 in 64 bits", WS_CLIENT, RAW("\x82\x7f\0\0\0\0\0\0\0\x01"), "X1002" },
    { "the top bit of 64", WS_CLIENT, RAW("\x82\x7f\x80\0\0\0\0\0\0\x01"), "X1002" },
    { "2^62 bytes", WS_CLIENT, RAW("\x82\x7f\x40\0\0\0\0\0\0\0"), "X1009" },
    { "2^32 bytes", WS_SERVER, RAW("\x82\xff\0\0\0\x01\0\0\0\0\0\0\0\0"), "X1009" },
    { "ping in 16 bits", WS_CLIENT, RAW("\x89\x7e\x00\x7d"), "X1002" },
    { "close in 64 bits", WS_CLIENT, RAW("\x88\x7f\0\0\0\0\0\0\0\x02"), "X1002" },
    { "RFC 6455 §5.7 unmasked", WS_CLIENT, RAW("\x81\x05\x48\x65\x6c\x6c\x6f"), "T[Hello]" },
    { "RFC 6455 §5.7 masked", WS_SERVER, RAW("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), "T[Hello]" },
    { "RFC 6455 §5.7 fragmented", WS_CLIENT, RAW("\x01\x03Hel\x80\x02lo"), "T[Hello]" },
    { "half a header", WS_CLIENT, RAW("\x81"), "" },
    { "half a payload", WS_CLIENT, RAW("\x81\x05Hel"), "" },
};

static void log_event(Buf *log, const WsEvent *e)
{
    static const char letters[] = {
        [WS_TEXT] = 'T', [WS_BINARY] = 'B', [WS_PING] = 'P', [WS_PONG] = 'O', [WS_CLOSE] = 'C'
    };
    if (e->opcode != WS_BINARY)
        assert_int_equal(e->data[e->len], 0);
    int r = buf_printf(log, "%c", letters[e->opcode]);
    if (r >= 0 && e->opcode == WS_CLOSE)
        r = buf_printf(log, "%u", e->code);
    if (r >= 0)
        r = e->len <= 64 && !memchr(e->data, '\0', e->len)
                ? buf_printf(log, "[%.*s]", (int) e->len, (const char *) e->data)
                : buf_printf(log, "#%zu", e->len);
    assert_true(r >= 0);
}

/* Feeds in pieces of `step` bytes. *ret_at is where it failed. */
static void run(WsRole role, const char *bytes, size_t len, size_t step, Buf *log, size_t *ret_at)
{
    WsDecoder d;
    ws_decoder_init(&d, role, WS_MESSAGE_MAX);
    bool failed = false;
    for (size_t at = 0; at < len && !failed; at += step) {
        size_t n = len - at < step ? len - at : step, done = 0;
        for (int r = 1; r > 0;) {
            _cleanup_(error_done) Error err = {};
            WsEvent event = {};
            size_t used = 0;
            r = ws_decode(&d, (const uint8_t *) bytes + at + done, n - done, &used, &event, &err);
            done += used;
            assert_true(done <= n);
            if (r > 0) {
                log_event(log, &event);
            } else if (r == 0) {
                assert_int_equal(done, n);
            } else {
                assert_non_null(err.id);
                assert_true(buf_printf(log, "X%u", d.close_code) >= 0);
                *ret_at = at + done;
                failed = true;
            }
        }
    }
    /* After a failure nothing happens any more. */
    if (failed) {
        WsEvent event = {};
        size_t used = 0;
        assert_int_equal(ws_decode(&d, (const uint8_t *) "\x81\x00", 2, &used, &event, NULL), 0);
    }
    ws_decoder_done(&d);
}

static void check_bytes(const char *name, WsRole role, const char *bytes, size_t len, const char *expect)
{
    static const size_t steps[] = { SIZE_MAX / 2, 1, 7, 1300 };
    for (size_t i = 0; i < ELEMENTSOF(steps); i++) {
        _cleanup_(buf_done) Buf log = BUF_INIT(64 * 1024);
        size_t at = 0;
        run(role, bytes, len, steps[i], &log, &at);
        const char *got = log.data ? log.data : "";
        if (strcmp(got, expect) != 0)
            fail_msg("%s (role %d, step %zu): %s, not %s", name, (int) role, steps[i], got, expect);
    }
}

static void append_frame(Buf *out, WsMasks *masks, const Frame *f)
{
    size_t len = f->data ? (f->len ? f->len : strlen(f->data)) : f->fill;
    _cleanup_(freep) char *filled = malloc(len + 1);
    memset(filled, '*', len + 1);
    for (size_t i = 0; i < (f->repeat ? f->repeat : 1); i++) {
        size_t start = out->len;
        assert_true(ws_encode_frame(out, masks, f->head & 0x0f, f->head & FIN, f->data ? f->data : filled, len) >= 0);
        out->data[start] = (char) f->head;
    }
}

static void test_cases(void **state)
{
    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++)
        for (WsRole role = WS_SERVER; role <= WS_CLIENT; role++) {
            _cleanup_(buf_done) Buf bytes = BUF_INIT((size_t) 4 * WS_MESSAGE_MAX);
            WsMasks masks = {};
            for (size_t k = 0; k < ELEMENTSOF(cases[i].frames); k++)
                if (cases[i].frames[k].data || cases[i].frames[k].fill)
                    append_frame(&bytes, role == WS_SERVER ? &masks : NULL, &cases[i].frames[k]);
            check_bytes(cases[i].name, role, bytes.data, bytes.len, cases[i].expect);
        }
}

static void test_f34_raw(void **state)
{
    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(raw); i++)
        check_bytes(raw[i].name, raw[i].role, raw[i].bytes, raw[i].len, raw[i].expect);
}

static void test_close_codes(void **state)
{
    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(codes); i++) {
        char frame[4] = { (char) 0x88, 2, (char) (codes[i].code >> 8), (char) codes[i].code };
        char expect[32];
        (void) snprintf(expect, sizeof expect, codes[i].valid ? "C%u[]" : "X1002", codes[i].code);
        check_bytes("close code", WS_CLIENT, frame, sizeof frame, expect);
        assert_true(ws_close_code_is_valid(codes[i].code) == codes[i].valid);
    }
}

static void test_texts(void **state)
{
    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
        _cleanup_(buf_done) Buf bytes = BUF_INIT(1024);
        Frame frame = { FIN | T, texts[i].bytes, texts[i].len, 0, 0 };
        append_frame(&bytes, NULL, &frame);
        _cleanup_(buf_done) Buf log = BUF_INIT(1024);
        size_t at = 0;
        run(WS_CLIENT, bytes.data, bytes.len, 1, &log, &at);
        if ((log.data[0] == 'T') != texts[i].valid)
            fail_msg("text %zu: %s", i, log.data);
        assert_true(utf8_is_valid(texts[i].bytes, texts[i].len) == texts[i].valid);
    }
}

/* As soon as text cannot become valid, not at the end of the frame. */
static void test_fails_fast(void **state)
{
    (void) state;
    static const char frame[] = "\x81\x7e\x01\x00" KOSME "\xf4\x90\x80\x80 and so on";
    _cleanup_(buf_done) Buf log = BUF_INIT(1024);
    size_t at = 0;
    run(WS_CLIENT, frame, sizeof frame - 1, 1, &log, &at);
    assert_string_equal(log.data, "X1007");
    assert_int_equal(at, 4 + strlen(KOSME) + 2);
}

static void test_utf8_against_the_other(void **state)
{
    (void) state;
    static const uint8_t edges[] = { 0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf,
                                     0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff };
    const size_t n = ELEMENTSOF(edges);
    for (size_t i = 0; i < n * n * n * n; i++) {
        uint8_t text[4] = { edges[i % n], edges[i / n % n], edges[i / n / n % n], edges[i / n / n / n] };
        Utf8State u = {};
        bool valid = utf8_feed(&u, text, 1) && utf8_feed(&u, text + 1, 3) && u.need == 0;
        if (valid != utf8_is_valid((const char *) text, 4))
            fail_msg("%02x %02x %02x %02x", text[0], text[1], text[2], text[3]);
    }
}

/* A header that announces much must not make us allocate it. */
static void test_memory_follows_data(void **state)
{
    (void) state;
    WsDecoder d;
    WsEvent event = {};
    size_t used = 0;
    ws_decoder_init(&d, WS_CLIENT, WS_MESSAGE_MAX);
    assert_int_equal(ws_decode(&d,
                               (const uint8_t *) "\x82\x7f\0\0\0\0\0\x0f\xff\xff"
                                                 "abc",
                               13, &used, &event, NULL),
                     0);
    assert_true(d.message.cap < 4096);
    ws_decoder_done(&d);
}

static void test_encoding(void **state)
{
    (void) state;
    static const struct {
        size_t len;
        const char *head;
        size_t head_len;
    } sizes[] = {
        { 0, "\x82\x00", 2 },
        { 125, "\x82\x7d", 2 },
        { 126, "\x82\x7e\x00\x7e", 4 },
        { 65535, "\x82\x7e\xff\xff", 4 },
        { 65536, "\x82\x7f\0\0\0\0\0\x01\0\0", 10 },
    };
    _cleanup_(freep) char *data = calloc(1, 65536);
    for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
        _cleanup_(buf_done) Buf out = BUF_INIT(128 * 1024);
        assert_true(ws_encode(&out, NULL, WS_BINARY, data, sizes[i].len) >= 0);
        assert_int_equal(out.len, sizes[i].head_len + sizes[i].len);
        assert_memory_equal(out.data, sizes[i].head, sizes[i].head_len);
    }
    _cleanup_(buf_done) Buf small = BUF_INIT(10);
    assert_int_equal(ws_encode(&small, NULL, WS_TEXT, data, 9), -EMSGSIZE);
}

/* In two pieces of all small sizes and some larger ones, in both roles: what was put in comes out. */
static void test_pieces(void **state)
{
    (void) state;
    static const size_t sizes[] = { 0, 1, 3, 4, 7, 8, 9, 31, 32, 33, 63, 125, 126, 4096, 16384, 70000 };
    uint8_t head[33], *data = malloc(70000);
    WsMasks masks = {};
    memset(head, 'h', sizeof head);
    for (size_t i = 0; i < 70000; i++)
        data[i] = (uint8_t) (i * 31 >> 3);
    for (size_t i = 0; i < 2 * ELEMENTSOF(sizes) * (sizeof head + 1); i++) {
        WsMasks *m = i % 2 ? &masks : NULL;
        size_t len = sizes[i / 2 % ELEMENTSOF(sizes)], head_len = i / 2 / ELEMENTSOF(sizes), used = 0;
        size_t size = ws_frame_size(m, head_len + len);
        _cleanup_(freep) uint8_t *frame = malloc(size + 1);
        WsDecoder d;
        WsEvent event = {};
        frame[size] = 0xa5;
        ws_frame_write(frame, m, WS_BINARY, head, head_len, data, len);
        assert_int_equal(frame[size], 0xa5);
        ws_decoder_init(&d, m ? WS_SERVER : WS_CLIENT, WS_MESSAGE_MAX);
        assert_int_equal(ws_decode(&d, frame, size, &used, &event, NULL), 1);
        assert_int_equal(used, size);
        assert_int_equal(event.opcode, WS_BINARY);
        assert_int_equal(event.len, head_len + len);
        assert_memory_equal(event.data, head, head_len);
        assert_memory_equal(event.data + head_len, data, len);
        ws_decoder_done(&d);
    }
    free(data);
}

static void test_masks(void **state)
{
    (void) state;
    WsMasks masks = {};
    _cleanup_(buf_done) Buf out = BUF_INIT(64 * 1024);
    unsigned different = 0;
    for (int i = 0; i < 200; i++)
        assert_true(ws_encode(&out, &masks, WS_TEXT, "same", 4) >= 0);
    for (size_t i = 1; i < 200; i++)
        different += memcmp(out.data + 10 * i + 2, out.data + 10 * (i - 1) + 2, 4) != 0;
    assert_true(different > 190);
}

static void test_close_payload(void **state)
{
    (void) state;
    uint8_t payload[WS_CONTROL_MAX];
    assert_int_equal(ws_close_payload(1000, "bye", payload), 5);
    assert_memory_equal(payload,
                        "\x03\xe8"
                        "bye",
                        5);
    assert_int_equal(ws_close_payload(1005, "x", payload), 0);
    assert_int_equal(ws_close_payload(1000, "\xff", payload), 2);
    /* 122 bytes, then a euro sign that does not fit whole */
    char reason[200];
    memset(reason, 'r', sizeof reason);
    memcpy(reason + 122, "\xe2\x82\xac", 4);
    assert_int_equal(ws_close_payload(1000, reason, payload), 2 + 122);
}

static int parse(const char *text, bool request, HttpHead *ret)
{
    size_t scanned = 0;
    int status = 0;
    int r = http_head_find(text, strlen(text), &scanned, NULL);
    assert_int_equal(r, strlen(text));
    return request ? http_request_parse(text, (size_t) r, ret, &status, NULL)
                   : http_response_parse(text, (size_t) r, ret, NULL);
}

#define KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define UP "Upgrade: websocket\r\nConnection: Upgrade\r\n"
#define V13 "Sec-WebSocket-Version: 13\r\n"
#define PROTO "Sec-WebSocket-Protocol: secbox.v1\r\n"
#define REQ(s) "GET / HTTP/1.1\r\nHost: a\r\n" s "\r\n"

static const struct {
    const char *request;
    const char *id; /* NULL = good */
} requests[] = {
    { REQ(UP V13 KEY PROTO), NULL },
    { REQ("upgrade: WebSocket, h2c\r\nconnection: keep-alive , UPGRADE\r\n" V13 KEY PROTO), NULL },
    { REQ(UP V13 KEY "Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: b, secbox.v1\r\n"), NULL },
    { REQ(V13 KEY PROTO), "ws.not-an-upgrade" },
    { REQ("Upgrade: websocket\r\n" V13 KEY PROTO), "ws.not-an-upgrade" },
    { REQ(UP KEY PROTO), "ws.version" },
    { REQ(UP "Sec-WebSocket-Version: 8\r\n" KEY PROTO), "ws.version" },
    { REQ(UP V13 V13 KEY PROTO), "ws.version" },
    { REQ(UP V13 PROTO), "ws.not-an-upgrade" },
    { REQ(UP V13 KEY KEY PROTO), "ws.not-an-upgrade" },
    { REQ(UP V13 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j\r\n" PROTO), "ws.not-an-upgrade" },
    { REQ(UP V13 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZR==\r\n" PROTO), "ws.not-an-upgrade" },
    { REQ(UP V13 KEY), "ws.protocol" },
    { REQ(UP V13 KEY "Sec-WebSocket-Protocol: secbox.v10\r\n"), "ws.protocol" },
    { REQ(UP V13 KEY PROTO "Content-Length: 3\r\n"), "ws.not-an-upgrade" },
    { "POST / HTTP/1.1\r\nHost: a\r\n" UP V13 KEY PROTO "\r\n", "ws.not-an-upgrade" },
    { "GET / HTTP/1.0\r\nHost: a\r\n" UP V13 KEY PROTO "\r\n", "ws.not-an-upgrade" },
};

#define ACCEPT "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
#define RES(s) "HTTP/1.1 101 Switching Protocols\r\n" s "\r\n"

static const struct {
    const char *response;
    const char *id;
} responses[] = {
    { RES(UP ACCEPT PROTO), NULL },
    { RES(UP "sec-websocket-accept:  s3pPLMBiTxaQ9kYGzzhZRbK+xOo= \r\n" PROTO), NULL },
    { RES(UP ACCEPT), "ws.bad-upgrade" },
    { RES(UP ACCEPT "Sec-WebSocket-Protocol: other\r\n"), "ws.bad-upgrade" },
    { RES(UP ACCEPT PROTO PROTO), "ws.bad-upgrade" },
    { RES(UP PROTO), "ws.bad-upgrade" },
    { RES(UP "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOO=\r\n" PROTO), "ws.bad-upgrade" },
    { RES(UP ACCEPT ACCEPT PROTO), "ws.bad-upgrade" },
    { RES("Connection: Upgrade\r\n" ACCEPT PROTO), "ws.bad-upgrade" },
    { RES("Upgrade: websocket\r\n" ACCEPT PROTO), "ws.bad-upgrade" },
    { RES(UP ACCEPT PROTO "Sec-WebSocket-Extensions: permessage-deflate\r\n"), "ws.bad-upgrade" },
    { "HTTP/1.1 200 OK\r\n" UP ACCEPT PROTO "\r\n", "ws.refused" },
    { "HTTP/1.1 401 Unauthorized\r\n\r\n", "ws.refused" },
};

static void test_handshakes(void **state)
{
    (void) state;
    char accept[WS_ACCEPT_SIZE] = "";
    for (size_t i = 0; i < ELEMENTSOF(requests); i++) {
        _cleanup_(error_done) Error err = {};
        HttpHead head = {};
        assert_int_equal(parse(requests[i].request, true, &head), 0);
        int r = ws_check_request(&head, "secbox.v1", accept, &err);
        http_head_done(&head);
        if ((r < 0) != (requests[i].id != NULL) || (r < 0 && !str_equal(err.id, requests[i].id)))
            fail_msg("request %zu: %d %s", i, r, error_id(&err));
        if (r >= 0)
            assert_string_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
    for (size_t i = 0; i < ELEMENTSOF(responses); i++) {
        _cleanup_(error_done) Error err = {};
        HttpHead head = {};
        assert_int_equal(parse(responses[i].response, false, &head), 0);
        int r = ws_check_response(&head, "dGhlIHNhbXBsZSBub25jZQ==", "secbox.v1", &err);
        http_head_done(&head);
        if ((r < 0) != (responses[i].id != NULL) || (r < 0 && !str_equal(err.id, responses[i].id)))
            fail_msg("response %zu: %d %s", i, r, error_id(&err));
    }
}

/* What our client sends, our server takes. */
static void test_request_fits_server(void **state)
{
    (void) state;
    static const struct {
        const char *url, *host, *target;
    } urls[] = {
        { "wss://gw.example/mgmt", "gw.example", "/mgmt" },
        { "wss://gw.example:443", "gw.example", "/" },
        { "wss://gw.example:8443/a?b=c", "gw.example:8443", "/a?b=c" },
        { "ws://[::1]:80?x", "[::1]", "/?x" },
        { "ws://[fe80::1]:81/", "[fe80::1]:81", "/" },
    };
    for (size_t i = 0; i < ELEMENTSOF(urls); i++) {
        WsUrl url = {};
        HttpHead head = {};
        char key[WS_KEY_SIZE], accept[WS_ACCEPT_SIZE];
        _cleanup_(buf_done) Buf out = BUF_INIT(8192);
        assert_int_equal(ws_url_parse(urls[i].url, "x", &url, NULL), 0);
        assert_true(ws_make_key(key) >= 0);
        assert_true(ws_make_request(&out, &url, key, "secbox.v1", "tok.en") >= 0);
        assert_int_equal(parse(out.data, true, &head), 0);
        assert_string_equal(http_head_get(&head, "host"), urls[i].host);
        assert_string_equal(head.target, urls[i].target);
        assert_string_equal(http_head_get(&head, "authorization"), "Bearer tok.en");
        assert_true(ws_check_request(&head, "secbox.v1", accept, NULL) >= 0);
        assert_int_equal(ws_make_request(&out, &url, key, NULL, "a\r\nb: c"), -EINVAL);
        http_head_done(&head);
        ws_url_done(&url);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_f34_raw),
        cmocka_unit_test(test_close_codes),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_fails_fast),
        cmocka_unit_test(test_utf8_against_the_other),
        cmocka_unit_test(test_memory_follows_data),
        cmocka_unit_test(test_encoding),
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_masks),
        cmocka_unit_test(test_close_payload),
        cmocka_unit_test(test_handshakes),
        cmocka_unit_test(test_request_fits_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* Decodes and encodes WebSocket frames. Memory follows what arrived, never what a header announces. */
#include <errno.h>
#include <string.h>

#include "lib/base/encode.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/websocket/connection.h"
#include "lib/websocket/codec.h"

#define CLOSE_NONE 1005

enum {
    DECODER_HEAD,
    DECODER_PAYLOAD,
    DECODER_CLOSED,
    DECODER_FAILED,
};

void ws_decoder_init(WsDecoder *d, WsRole role, size_t message_max)
{
    *d = (WsDecoder) {
        .message = BUF_INIT(message_max),
        .message_max = message_max,
        .role = (uint8_t) role,
        .head_need = 2,
    };
}

void ws_decoder_done(WsDecoder *d)
{
    buf_done(&d->message);
}

/* The ranges of a second byte by the first one (Unicode 15, table 3-7). */
static bool utf8_lead(Utf8State *u, uint8_t c)
{
    static const struct {
        uint8_t first, last, need, low, high;
    } leads[] = {
        { 0xc2, 0xdf, 1, 0x80, 0xbf }, { 0xe0, 0xe0, 2, 0xa0, 0xbf }, { 0xe1, 0xec, 2, 0x80, 0xbf },
        { 0xed, 0xed, 2, 0x80, 0x9f }, { 0xee, 0xef, 2, 0x80, 0xbf }, { 0xf0, 0xf0, 3, 0x90, 0xbf },
        { 0xf1, 0xf3, 3, 0x80, 0xbf }, { 0xf4, 0xf4, 3, 0x80, 0x8f },
    };
    for (size_t i = 0; i < ELEMENTSOF(leads); i++)
        if (c >= leads[i].first && c <= leads[i].last) {
            *u = (Utf8State) { .need = leads[i].need, .low = leads[i].low, .high = leads[i].high };
            return true;
        }
    return false;
}

bool utf8_feed(Utf8State *u, const uint8_t *data, size_t len)
{
    size_t i = 0;
    while (i < len) {
        uint64_t word;
        if (u->need == 0 && len - i >= sizeof word) {
            memcpy(&word, data + i, sizeof word);
            if ((word & UINT64_C(0x8080808080808080)) == 0) {
                i += sizeof word;
                continue;
            }
        }
        uint8_t c = data[i++];
        if (u->need == 0) {
            if (c >= 0x80 && !utf8_lead(u, c))
                return false;
        } else {
            if (c < u->low || c > u->high)
                return false;
            *u = (Utf8State) { .need = (uint8_t) (u->need - 1), .low = 0x80, .high = 0xbf };
        }
    }
    return true;
}

bool ws_close_code_is_valid(uint16_t code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

static int broken(WsDecoder *d, Error *err, const char *what)
{
    d->state = DECODER_FAILED;
    d->close_code = WS_CLOSE_PROTOCOL;
    buf_done(&d->message);
    return error_set(err, EPROTO, "ws.protocol", "the peer broke the WebSocket protocol: %s", what);
}

static int not_utf8(WsDecoder *d, Error *err)
{
    d->state = DECODER_FAILED;
    d->close_code = WS_CLOSE_BAD_DATA;
    buf_done(&d->message);
    return error_set(err, EILSEQ, "ws.not-utf8", "the peer sent text that is not UTF-8");
}

static int too_large(WsDecoder *d, Error *err)
{
    d->state = DECODER_FAILED;
    d->close_code = WS_CLOSE_TOO_BIG;
    buf_done(&d->message);
    return error_set(err, EMSGSIZE, "ws.too-large", "the peer sent a message of over %zu bytes or %d fragments",
                     d->message_max, WS_FRAGMENTS_MAX);
}

/* How long the whole header is, from its first two bytes. */
static uint8_t header_size(const uint8_t head[static 2])
{
    uint8_t len = head[1] & 0x7f;
    return (uint8_t) (2 + (len == 126 ? 2 : len == 127 ? 8 : 0) + (head[1] & 0x80 ? 4 : 0));
}

/* What can be said after two bytes is said then. */
static int check_start(WsDecoder *d, Error *err)
{
    uint8_t opcode = d->head[0] & 0x0f, len = d->head[1] & 0x7f;
    bool final = d->head[0] & 0x80, masked = d->head[1] & 0x80;
    if (d->head[0] & 0x70)
        return broken(d, err, "a reserved bit is set");
    if (opcode != WS_CONTINUATION && opcode != WS_TEXT && opcode != WS_BINARY && opcode != WS_CLOSE &&
        opcode != WS_PING && opcode != WS_PONG)
        return broken(d, err, "a reserved opcode");
    if (masked != (d->role == WS_SERVER))
        return broken(d, err, masked ? "a server's frame is masked" : "a client's frame is not masked");
    if (opcode >= WS_CLOSE && (!final || len > WS_CONTROL_MAX))
        return broken(d, err, "a control frame is fragmented or too long");
    if (opcode == WS_CONTINUATION && d->message_opcode == 0)
        return broken(d, err, "a continuation of nothing");
    if ((opcode == WS_TEXT || opcode == WS_BINARY) && d->message_opcode != 0)
        return broken(d, err, "a new message inside another one");
    d->opcode = opcode;
    d->final = final;
    return 0;
}

static uint64_t big_endian(const uint8_t *data, size_t len)
{
    uint64_t value = 0;
    for (size_t i = 0; i < len; i++)
        value = value << 8 | data[i];
    return value;
}

static int check_header(WsDecoder *d, Error *err)
{
    uint8_t len = d->head[1] & 0x7f;
    size_t extra = len == 126 ? 2 : len == 127 ? 8 : 0;
    d->left = extra ? big_endian(d->head + 2, extra) : len;
    if ((len == 126 && d->left < 126) || (len == 127 && (d->left <= UINT16_MAX || d->left >> 63)))
        return broken(d, err, "a length that is not written in its shortest form");
    memset(d->mask, 0, sizeof d->mask);
    if (d->head[1] & 0x80)
        memcpy(d->mask, d->head + 2 + extra, sizeof d->mask);
    d->mask_at = 0;
    d->state = DECODER_PAYLOAD;
    d->head_len = 0;
    d->head_need = 2;
    if (d->opcode >= WS_CLOSE) {
        d->control_len = 0;
        return 0;
    }
    if (d->opcode != WS_CONTINUATION) {
        d->message_opcode = d->opcode;
        d->utf8 = (Utf8State) {};
        d->fragments = 0;
    }
    if (d->left > d->message_max - d->message.len || ++d->fragments > WS_FRAGMENTS_MAX)
        return too_large(d, err);
    return 0;
}

static int take_header(WsDecoder *d, const uint8_t *data, size_t len, size_t *used, Error *err)
{
    while (*used < len && d->head_len < d->head_need) {
        d->head[d->head_len++] = data[(*used)++];
        if (d->head_len != 2)
            continue;
        int r = check_start(d, err);
        if (r < 0)
            return r;
        d->head_need = header_size(d->head);
    }
    return d->head_len == d->head_need ? check_header(d, err) : 0;
}

/* Copies and masks in one go; `at` is the place in the payload. Returns the place behind. */
static uint8_t copy_masked(uint8_t *to, const uint8_t *from, size_t len, const uint8_t mask[static 4], uint8_t at)
{
    uint8_t key[8];
    uint64_t wide, words[4];
    size_t i = 0;
    for (size_t k = 0; k < sizeof key; k++)
        key[k] = mask[(at + k) % 4];
    memcpy(&wide, key, sizeof wide);
    for (; len - i >= sizeof words; i += sizeof words) {
        memcpy(words, from + i, sizeof words);
        for (size_t k = 0; k < ELEMENTSOF(words); k++)
            words[k] ^= wide;
        memcpy(to + i, words, sizeof words);
    }
    for (size_t k = 0; i < len; i++, k++)
        to[i] = from[i] ^ key[k % sizeof key];
    return (uint8_t) ((at + len) % 4);
}

/* A binary message that is there whole and as it is needs no copy. */
static bool is_ready_made(const WsDecoder *d, size_t len)
{
    return d->opcode == WS_BINARY && d->final && d->role == WS_CLIENT && d->left <= len && d->message.len == 0;
}

static int take_ready_made(WsDecoder *d, const uint8_t *data, size_t *used, WsEvent *ret)
{
    *ret = (WsEvent) { .opcode = WS_BINARY, .data = data, .len = (size_t) d->left };
    *used += (size_t) d->left;
    d->left = 0;
    d->message_opcode = 0;
    d->state = DECODER_HEAD;
    return 1;
}

static int take_payload(WsDecoder *d, const uint8_t *data, size_t len, size_t *used, Error *err)
{
    size_t n = d->left < len ? (size_t) d->left : len;
    uint8_t *at;
    if (d->opcode >= WS_CLOSE) {
        at = d->control + d->control_len;
        d->control_len = (uint8_t) (d->control_len + n);
    } else {
        int r = buf_reserve(&d->message, n);
        if (r < 0)
            return r == -EMSGSIZE ? too_large(d, err) : r;
        at = (uint8_t *) d->message.data + d->message.len;
        d->message.len += n;
        d->message.data[d->message.len] = '\0';
    }
    if (d->role == WS_SERVER)
        d->mask_at = copy_masked(at, data, n, d->mask, d->mask_at);
    else
        memcpy(at, data, n);
    *used = n;
    d->left -= n;
    if (d->opcode < WS_CLOSE && d->message_opcode == WS_TEXT && !utf8_feed(&d->utf8, at, n))
        return not_utf8(d, err);
    return 0;
}

static int close_event(WsDecoder *d, WsEvent *ret, Error *err)
{
    Utf8State utf8 = {};
    *ret = (WsEvent) { .opcode = WS_CLOSE, .code = CLOSE_NONE, .data = d->control };
    if (d->control_len == 1)
        return broken(d, err, "half a close code");
    if (d->control_len >= 2) {
        ret->code = (uint16_t) big_endian(d->control, 2);
        if (!ws_close_code_is_valid(ret->code))
            return broken(d, err, "a close code that must not be sent");
        if (!utf8_feed(&utf8, d->control + 2, d->control_len - 2u) || utf8.need > 0)
            return not_utf8(d, err);
        ret->data = d->control + 2;
        ret->len = d->control_len - 2u;
    }
    d->state = DECODER_CLOSED;
    buf_done(&d->message);
    return 1;
}

/* A frame is whole. 1 when it makes an event. */
static int frame_event(WsDecoder *d, WsEvent *ret, Error *err)
{
    static const uint8_t nothing[1] = "";
    d->state = DECODER_HEAD;
    if (d->opcode >= WS_CLOSE) {
        d->control[d->control_len] = '\0';
        if (d->opcode == WS_CLOSE)
            return close_event(d, ret, err);
        *ret = (WsEvent) { .opcode = d->opcode, .data = d->control, .len = d->control_len };
        return 1;
    }
    if (!d->final)
        return 0;
    if (d->message_opcode == WS_TEXT && d->utf8.need > 0)
        return not_utf8(d, err);
    *ret = (WsEvent) {
        .opcode = d->message_opcode,
        .data = d->message.data ? (const uint8_t *) d->message.data : nothing,
        .len = d->message.len,
    };
    d->message_opcode = 0;
    return 1;
}

int ws_decode(WsDecoder *d, const uint8_t *data, size_t len, size_t *used, WsEvent *ret, Error *err)
{
    *used = 0;
    if (d->message_opcode == 0)
        buf_done(&d->message);
    while (d->state <= DECODER_PAYLOAD) {
        size_t n = 0;
        if (d->state == DECODER_PAYLOAD && is_ready_made(d, len - *used))
            return take_ready_made(d, data + *used, used, ret);
        int r = d->state == DECODER_HEAD ? take_header(d, data + *used, len - *used, &n, err)
                                         : take_payload(d, data + *used, len - *used, &n, err);
        *used += n;
        if (r < 0)
            return r;
        if (d->state == DECODER_PAYLOAD && d->left == 0) {
            r = frame_event(d, ret, err);
            if (r != 0)
                return r;
        }
        if (*used == len)
            return 0;
    }
    *used = len;
    return 0;
}

static void next_mask(WsMasks *m, uint8_t ret[static 4])
{
    if (m->left < 4) {
        random_bytes(m->bytes, sizeof m->bytes);
        m->left = sizeof m->bytes;
    }
    m->left -= 4;
    memcpy(ret, m->bytes + m->left, 4);
}

typedef struct Piece {
    const uint8_t *data;
    size_t len;
} Piece;

/* Without the mask. */
static size_t write_header(uint8_t *head, WsOpcode opcode, bool final, size_t len, bool masked)
{
    head[0] = (uint8_t) ((final ? 0x80 : 0) | (uint8_t) opcode);
    size_t bytes = len < 126 ? 0 : len <= UINT16_MAX ? 2 : 8;
    head[1] = (uint8_t) ((masked ? 0x80 : 0) | (bytes == 0 ? len : bytes == 2 ? 126 : 127));
    for (size_t i = 0; i < bytes; i++)
        head[2 + i] = (uint8_t) ((uint64_t) len >> (8 * (bytes - 1 - i)));
    return 2 + bytes;
}

size_t ws_frame_size(const WsMasks *masks, size_t len)
{
    size_t head = len < 126 ? 2 : len <= UINT16_MAX ? 4 : 10;
    return head + (masks ? 4 : 0) + len;
}

static void write_frame(uint8_t *at, WsMasks *masks, WsOpcode opcode, bool final, const Piece pieces[static 2])
{
    at += write_header(at, opcode, final, pieces[0].len + pieces[1].len, masks != NULL);
    uint8_t mask[4], place = 0;
    if (masks) {
        next_mask(masks, mask);
        memcpy(at, mask, sizeof mask);
        at += sizeof mask;
    }
    for (size_t i = 0; i < 2; i++) {
        if (masks)
            place = copy_masked(at, pieces[i].data, pieces[i].len, mask, place);
        else if (pieces[i].len > 0)
            memcpy(at, pieces[i].data, pieces[i].len);
        at += pieces[i].len;
    }
}

void ws_frame_write(uint8_t *at, WsMasks *masks, WsOpcode opcode, const void *head, size_t head_len, const void *data,
                    size_t len)
{
    write_frame(at, masks, opcode, true, (const Piece[]) { { head, head_len }, { data, len } });
}

int ws_encode_frame(Buf *out, WsMasks *masks, WsOpcode opcode, bool final, const void *data, size_t len)
{
    size_t size = ws_frame_size(masks, len);
    int r = buf_reserve(out, size);
    if (r < 0)
        return r;
    write_frame((uint8_t *) out->data + out->len, masks, opcode, final, (const Piece[]) { { data, len }, {} });
    out->len += size;
    out->data[out->len] = '\0';
    return 0;
}

int ws_encode(Buf *out, WsMasks *masks, WsOpcode opcode, const void *data, size_t len)
{
    return ws_encode_frame(out, masks, opcode, true, data, len);
}

size_t ws_close_payload(uint16_t code, const char *reason, uint8_t ret[static WS_CONTROL_MAX])
{
    if (!ws_close_code_is_valid(code))
        return 0;
    ret[0] = (uint8_t) (code >> 8);
    ret[1] = (uint8_t) code;
    size_t len = reason ? strlen(reason) : 0;
    if (len > WS_CONTROL_MAX - 2) {
        len = WS_CONTROL_MAX - 2;
        while (len > 0 && ((uint8_t) reason[len] & 0xc0) == 0x80)
            len--;
    }
    if (len > 0 && utf8_is_valid(reason, len))
        memcpy(ret + 2, reason, len);
    else
        len = 0;
    return 2 + len;
}

/* SPDX-License-Identifier: MIT */
#include "lib/cli/png.h"

#include <errno.h>
#include <string.h>

#define DATA_MAX ((size_t) 16 * 1024 * 1024)
#define STORED_MAX 65535U /* bytes of one block that is not compressed: RFC 1951 §3.2.4 */
#define ADLER_BASE 65521U

static void put_u32(uint8_t *to, uint32_t n)
{
    for (int i = 0; i < 4; i++)
        to[i] = (uint8_t) (n >> (24 - 8 * i));
}

static uint32_t crc32_of(const uint8_t *data, size_t len)
{
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < len; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ 0xEDB88320U : crc >> 1;
    }
    return ~crc;
}

static uint32_t adler32_of(const uint8_t *data, size_t len)
{
    uint32_t a = 1, b = 0;

    for (size_t i = 0; i < len; i++) {
        a = (a + data[i]) % ADLER_BASE;
        b = (b + a) % ADLER_BASE;
    }
    return b << 16 | a;
}

static int add_chunk(Buf *out, const char *type, const void *data, size_t len)
{
    _cleanup_(buf_done) Buf chunk = BUF_INIT(DATA_MAX);
    uint8_t number[4];

    put_u32(number, (uint32_t) len);
    if (buf_append(&chunk, type, 4) < 0 || buf_append(&chunk, data, len) < 0 || buf_append(out, number, 4) < 0 ||
        buf_append(out, chunk.data, chunk.len) < 0)
        return -ENOMEM;
    put_u32(number, crc32_of((const uint8_t *) chunk.data, chunk.len));
    return buf_append(out, number, 4);
}

/* zlib's frame (RFC 1950) around blocks as they are. */
static int deflate_stored(const Buf *raw, Buf *ret)
{
    uint8_t check[4];
    int r = buf_append(ret, "\x78\x01", 2);

    for (size_t at = 0; at < raw->len && r >= 0; at += STORED_MAX) {
        size_t left = raw->len - at;
        uint16_t n = (uint16_t) (left < STORED_MAX ? left : STORED_MAX), inverse = (uint16_t) ~n;
        const uint8_t head[] = { left <= STORED_MAX, (uint8_t) (n & 0xFF), (uint8_t) (n >> 8),
                                 (uint8_t) (inverse & 0xFF), (uint8_t) (inverse >> 8) };

        r = buf_append(ret, head, sizeof(head));
        if (r >= 0)
            r = buf_append(ret, raw->data + at, n);
    }
    put_u32(check, adler32_of((const uint8_t *) raw->data, raw->len));
    return r < 0 ? r : buf_append(ret, check, 4);
}

int png_write(const uint8_t *bits, unsigned width, unsigned height, Buf *ret)
{
    _cleanup_(buf_done) Buf raw = BUF_INIT(DATA_MAX), data = BUF_INIT(DATA_MAX);
    size_t row = (width + 7) / 8;
    uint8_t head[13] = { [8] = 1 }; /* one bit a pixel, grey */
    int r = 0;

    put_u32(head, width);
    put_u32(head + 4, height);
    for (unsigned y = 0; y < height && r >= 0; y++) {
        r = buf_append(&raw, "\0", 1); /* the row is not filtered */
        if (r >= 0)
            r = buf_append(&raw, bits + y * row, row);
    }
    if (r >= 0)
        r = deflate_stored(&raw, &data);
    if (r >= 0)
        r = buf_append(ret, "\x89PNG\r\n\x1a\n", 8);
    if (r >= 0)
        r = add_chunk(ret, "IHDR", head, sizeof(head));
    if (r >= 0)
        r = add_chunk(ret, "IDAT", data.data, data.len);
    return r < 0 ? r : add_chunk(ret, "IEND", "", 0);
}

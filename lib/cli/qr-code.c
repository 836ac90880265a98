/* SPDX-License-Identifier: MIT */
#include "lib/cli/qr-code.h"

#include <errno.h>
#include <qrencode.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "lib/cli/png.h"

#define TEXT_SIZE_MAX ((size_t) 1024 * 1024)
#define QUIET_ZONE 4 /* modules of white around it: ISO/IEC 18004 §9.1 */

struct QrCode {
    QRcode *code;
};

int qr_code_new(const char *text, QrCode **ret, Error *err)
{
    _cleanup_(qr_code_freep) QrCode *q = calloc(1, sizeof(*q));

    if (!q)
        return error_from_errno(err, -ENOMEM, "cannot draw a QR code");
    q->code = QRcode_encodeString8bit(text, 0, QR_ECLEVEL_L);
    if (!q->code && errno == ERANGE)
        return error_set(err, EMSGSIZE, "qr.too-long", "a text of %zu bytes is too long for a QR code", strlen(text));
    if (!q->code)
        return error_from_errno(err, -errno, "cannot draw a QR code");
    *ret = TAKE_PTR(q);
    return 0;
}

QrCode *qr_code_free(QrCode *q)
{
    if (!q)
        return NULL;
    QRcode_free(q->code);
    free(q);
    return NULL;
}

static int side(const QrCode *q)
{
    return q->code->width + 2 * QUIET_ZONE;
}

/* With the quiet zone, of which all outside is a part. */
static bool is_dark(const QrCode *q, int x, int y)
{
    int n = q->code->width;

    x -= QUIET_ZONE;
    y -= QUIET_ZONE;
    return x >= 0 && y >= 0 && x < n && y < n && q->code->data[y * n + x] & 1;
}

char *qr_code_blocks(const QrCode *q)
{
    /* by upper and lower half: both light, upper dark, lower dark, both dark */
    static const char *const blocks[] = { "█", "▄", "▀", " " };
    _cleanup_(buf_done) Buf text = BUF_INIT(TEXT_SIZE_MAX);
    int r = 0;

    for (int y = 0; y < side(q) && r >= 0; y += 2) {
        for (int x = 0; x < side(q) && r >= 0; x++)
            r = buf_puts(&text, blocks[is_dark(q, x, y) + 2 * is_dark(q, x, y + 1)]);
        if (r >= 0)
            r = buf_puts(&text, "\n");
    }
    return r < 0 ? NULL : buf_take(&text);
}

char *qr_code_svg(const QrCode *q)
{
    _cleanup_(buf_done) Buf svg = BUF_INIT(TEXT_SIZE_MAX);
    int n = side(q);
    int r =
        buf_printf(&svg,
                   "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" shape-rendering=\"crispEdges\">\n"
                   "<path fill=\"#fff\" d=\"M0 0h%dv%dh-%dz\"/>\n<path d=\"",
                   n, n, n, n, n);

    for (int y = 0; y < n && r >= 0; y++)
        for (int x = 0; x < n && r >= 0; x++)
            if (is_dark(q, x, y))
                r = buf_printf(&svg, "M%d %dh1v1h-1z", x, y);
    if (r >= 0)
        r = buf_puts(&svg, "\"/>\n</svg>\n");
    return r < 0 ? NULL : buf_take(&svg);
}

int qr_code_png(const QrCode *q, unsigned scale, Buf *ret)
{
    unsigned width = (unsigned) side(q) * scale;
    size_t row = (width + 7) / 8;
    _cleanup_(freep) uint8_t *bits = calloc(width, row);

    if (!bits)
        return -ENOMEM;
    memset(bits, 0xFF, row * width);
    for (unsigned y = 0; y < width; y++)
        for (unsigned x = 0; x < width; x++)
            if (is_dark(q, (int) (x / scale), (int) (y / scale)))
                bits[y * row + x / 8] &= (uint8_t) ~(0x80U >> (x % 8));
    return png_write(bits, width, width, ret);
}

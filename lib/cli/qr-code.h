/* SPDX-License-Identifier: MIT */
/* QR codes (ISO/IEC 18004) for terminals and as pictures. */
#pragma once

#include "lib/base/buf.h"
#include "lib/base/error.h"

typedef struct QrCode QrCode;

/* Holds at most 2,953 bytes; qr.too-long. */
int qr_code_new(const char *text, QrCode **ret, Error *err) _must_check_;
QrCode *qr_code_free(QrCode *q);
DEFINE_CLEANUP(QrCode, qr_code_free)

/* Two modules a character, for a terminal whose background is dark: what is light in the code is drawn. A new string, NULL when out
 * of memory. */
char *qr_code_blocks(const QrCode *q);
/* One path with a square for each dark module; the picture has no size of its own. A new string, NULL when out of memory. */
char *qr_code_svg(const QrCode *q);
/* Black on white, each module `scale` pixels wide. */
int qr_code_png(const QrCode *q, unsigned scale, Buf *ret) _must_check_;

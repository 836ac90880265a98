/* SPDX-License-Identifier: MIT */
/* The binary frames of docs/wire-format.md, and what each kind may hold. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"
#include "lib/mux/mux.h"

#define MUX_REASON_MAX 128
#define MUX_RESUME_MAX 256 /* its JSON */
#define MUX_FLAG_ENDED 1   /* credit: the half-close was received, too */

typedef enum MuxKind {
    MUX_FRAME_OPEN = 1,
    MUX_FRAME_DATA,
    MUX_FRAME_CREDIT,
    MUX_FRAME_HALF_CLOSE,
    MUX_FRAME_RESET,
    MUX_FRAME_GO_AWAY,
    MUX_FRAME_RESUME,
    _MUX_FRAME_KINDS,
} MuxKind;

typedef struct MuxFrame {
    MuxKind kind;
    uint8_t flags;
    uint32_t stream;
    uint64_t position;
    const uint8_t *data; /* borrowed */
    size_t len;
} MuxFrame;

void mux_frame_encode(const MuxFrame *f, uint8_t header[static MUX_HEADER_SIZE]);
/* Checks all that can be checked of one frame by itself. mux.protocol. */
int mux_frame_decode(const uint8_t *data, size_t len, MuxFrame *ret, Error *err) _must_check_;

/* 64 bits, big-endian. */
void mux_put_u64(uint8_t to[static 8], uint64_t value);
uint64_t mux_get_u64(const uint8_t from[static 8]);

/* SPDX-License-Identifier: MIT */
/* A recording of a support session, sealed while it is written: only the auditor's key opens it, and nobody who comes later, root
 * included, has on the box what would. Its layout:
 *   "secbox-session-1\n"
 *   u16 length of the label, label          readable for all
 *   content key, wrapped for the auditor    HPKE (key-hpke.h) with all before it as associated data
 *   records: u32 length, its highest bit set in the last one; AES-256-GCM, with these four bytes as associated data and the
 *            record's number, from 0, as nonce
 * Integers are big-endian. Each record's key is made of the one before it, which is forgotten: who gets at the writer's memory
 * opens nothing that was written before. A record that is missing, changed, repeated or moved does not open, and a recording
 * without its last record says that it was cut off. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/error.h"
#include "lib/data/key-hpke.h"
#include "lib/data/seal.h"

#define SESSION_LABEL_MAX 256
#define SESSION_RECORD_MAX (128 * 1024) /* of plain text */

typedef struct SessionSeal {
    uint8_t key[SEAL_KEY_SIZE];
    uint64_t number;
    bool ended;
} SessionSeal;

/* Appends what stands before the records. -EINVAL: the label is too long, or `to` is no public key. */
int session_seal_begin(SessionSeal *s, const uint8_t to[static HPKE_KEY_SIZE], const char *label,
                       Buf *out) _must_check_;
/* Appends a record. -EMSGSIZE; -EINVAL behind the last one. */
int session_seal_add(SessionSeal *s, const void *data, size_t len, bool last, Buf *out) _must_check_;
/* Forgets the key. */
void session_seal_done(SessionSeal *s);

typedef struct SessionText {
    char *label;      /* owned */
    Buf text;         /* what the records hold */
    uint64_t records; /* that could be opened */
    bool is_whole;    /* the last one is among them */
} SessionText;

/* All of a recording. A cut end is no error (`is_whole`). -EBADMSG: "session.no-recording", "session.other-key",
 * "session.recording-changed"; with the last of them *ret holds what stands before the change. */
int session_open(const HpkeKey *k, const void *data, size_t len, SessionText *ret, Error *err) _must_check_;
void session_text_done(SessionText *o);

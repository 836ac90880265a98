/* SPDX-License-Identifier: MIT */
#include "lib/data/session-seal.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#include "lib/base/encode.h"
#include "lib/data/digest.h"

#define MAGIC "secbox-session-1\n"
#define MAGIC_SIZE (sizeof(MAGIC) - 1)
#define WRAPPED_SIZE (SEAL_KEY_SIZE + HPKE_OVERHEAD)
#define HEAD_MAX (MAGIC_SIZE + 2 + SESSION_LABEL_MAX)
#define LENGTH_SIZE 4
#define LAST 0x80000000u
#define NEXT "secbox session next"

static const HpkeText info = { "secbox session recording 1", 26 };

static int next_key(SessionSeal *s)
{
    uint8_t key[SEAL_KEY_SIZE];
    int r = hmac_sha256(s->key, sizeof(s->key), NEXT, sizeof(NEXT) - 1, key);

    if (r >= 0)
        memcpy(s->key, key, sizeof(key));
    explicit_bzero(key, sizeof(key));
    s->number++;
    return r;
}

static void nonce_of(const SessionSeal *s, uint8_t ret[static AES_GCM_NONCE_SIZE])
{
    const uint64_t number = htobe64(s->number);

    memset(ret, 0, AES_GCM_NONCE_SIZE);
    memcpy(ret + AES_GCM_NONCE_SIZE - sizeof(number), &number, sizeof(number));
}

int session_seal_begin(SessionSeal *s, const uint8_t to[static HPKE_KEY_SIZE], const char *label, Buf *out)
{
    const size_t len = strlen(label), head = MAGIC_SIZE + 2 + len;
    const uint16_t length = htobe16((uint16_t) len);
    uint8_t text[HEAD_MAX + WRAPPED_SIZE];

    if (len > SESSION_LABEL_MAX)
        return -EINVAL;
    *s = (SessionSeal) {};
    random_bytes(s->key, sizeof(s->key));
    memcpy(text, MAGIC, MAGIC_SIZE);
    memcpy(text + MAGIC_SIZE, &length, sizeof(length));
    memcpy(text + MAGIC_SIZE + sizeof(length), label, len);
    int r = hpke_seal(HPKE_AES_256_GCM, to, info, (HpkeText) { text, head }, (HpkeText) { s->key, sizeof(s->key) },
                      text + head);
    return r < 0 ? r : buf_append(out, text, head + WRAPPED_SIZE);
}

int session_seal_add(SessionSeal *s, const void *data, size_t len, bool last, Buf *out)
{
    uint8_t nonce[AES_GCM_NONCE_SIZE];

    if (s->ended)
        return -EINVAL;
    if (len > SESSION_RECORD_MAX)
        return -EMSGSIZE;
    const uint32_t length = htobe32((uint32_t) (len + AES_GCM_TAG_SIZE) | (last ? LAST : 0));
    int r = buf_reserve(out, LENGTH_SIZE + len + AES_GCM_TAG_SIZE);
    if (r < 0)
        return r;
    nonce_of(s, nonce);
    memcpy(out->data + out->len, &length, LENGTH_SIZE);
    r = aes_gcm_seal((HpkeText) { s->key, sizeof(s->key) }, nonce, (HpkeText) { &length, LENGTH_SIZE },
                     (HpkeText) { data, len }, (uint8_t *) out->data + out->len + LENGTH_SIZE);
    if (r >= 0)
        r = next_key(s);
    if (r < 0)
        return r;
    out->len += LENGTH_SIZE + len + AES_GCM_TAG_SIZE;
    s->ended = last;
    if (last)
        session_seal_done(s);
    return 0;
}

void session_seal_done(SessionSeal *s)
{
    explicit_bzero(s->key, sizeof(s->key));
    s->ended = true;
}

/* The length of what stands before the wrapped key; 0: that is no recording. */
static size_t head_size(const uint8_t *data, size_t len)
{
    uint16_t length;

    if (len < MAGIC_SIZE + sizeof(length) || memcmp(data, MAGIC, MAGIC_SIZE) != 0)
        return 0;
    memcpy(&length, data + MAGIC_SIZE, sizeof(length));
    length = be16toh(length);
    const size_t head = MAGIC_SIZE + sizeof(length) + length;
    return length > SESSION_LABEL_MAX || len < head + WRAPPED_SIZE ||
                   memchr(data + MAGIC_SIZE + sizeof(length), '\0', length)
               ? 0
               : head;
}

static int changed(uint64_t number, Error *err)
{
    return error_set(err, EBADMSG, "session.recording-changed",
                     "record %llu of the recording, or what should stand there, was changed, moved or taken out: what "
                     "stands before it is as it was written",
                     (unsigned long long) number);
}

/* 1: there is another record; 0: no more. *at goes on. */
static int open_record(SessionSeal *s, const uint8_t *data, size_t len, size_t *at, SessionText *o, Error *err)
{
    uint8_t nonce[AES_GCM_NONCE_SIZE];
    uint32_t length;

    if (len - *at < LENGTH_SIZE)
        return 0;
    memcpy(&length, data + *at, LENGTH_SIZE);
    const HpkeText aad = { data + *at, LENGTH_SIZE };
    const bool last = be32toh(length) & LAST;
    const size_t sealed = be32toh(length) & ~LAST;
    if (o->is_whole || sealed < AES_GCM_TAG_SIZE || sealed > SESSION_RECORD_MAX + AES_GCM_TAG_SIZE)
        return changed(s->number, err);
    if (len - *at - LENGTH_SIZE < sealed)
        return 0;
    int r = buf_reserve(&o->text, sealed);
    if (r < 0)
        return error_from_errno(err, r, "cannot open the recording");
    nonce_of(s, nonce);
    r = aes_gcm_open((HpkeText) { s->key, sizeof(s->key) }, nonce, aad, (HpkeText) { data + *at + LENGTH_SIZE, sealed },
                     (uint8_t *) o->text.data + o->text.len);
    if (r >= 0) {
        o->text.len += sealed - AES_GCM_TAG_SIZE;
        r = next_key(s);
    }
    o->text.data[o->text.len] = '\0'; /* nothing of what did not open stays behind the rest */
    if (r < 0)
        return r == -EBADMSG ? changed(s->number, err) : error_from_errno(err, r, "cannot open the recording");
    *at += LENGTH_SIZE + sealed;
    o->records = s->number;
    o->is_whole = last;
    return 1;
}

int session_open(const HpkeKey *k, const void *data, size_t len, SessionText *ret, Error *err)
{
    const uint8_t *bytes = data;
    size_t at = head_size(bytes, len);
    SessionSeal s = {};

    *ret = (SessionText) { .text = BUF_INIT(len + SESSION_RECORD_MAX) };
    if (at == 0)
        return error_set(err, EBADMSG, "session.no-recording", "that is not, or no more, a recording of a session");
    int r =
        hpke_open(HPKE_AES_256_GCM, k, info, (HpkeText) { bytes, at }, (HpkeText) { bytes + at, WRAPPED_SIZE }, s.key);
    if (r == -EBADMSG)
        return error_set(
            err, EBADMSG, "session.other-key",
            "this key does not open the recording: it was sealed for another auditor, or its beginning was "
            "changed");
    if (r >= 0) {
        ret->label = strndup((const char *) bytes + MAGIC_SIZE + 2, at - MAGIC_SIZE - 2);
        r = ret->label ? 1 : -ENOMEM;
    }
    if (r < 0)
        return error_from_errno(err, r, "cannot open the recording");
    at += WRAPPED_SIZE;
    while (r > 0)
        r = open_record(&s, bytes, len, &at, ret, err);
    if (r == 0 && ret->is_whole && at < len)
        r = changed(s.number, err);
    session_seal_done(&s);
    return r;
}

void session_text_done(SessionText *o)
{
    free(o->label);
    if (o->text.data)
        explicit_bzero(o->text.data, o->text.cap);
    buf_done(&o->text);
    *o = (SessionText) {};
}

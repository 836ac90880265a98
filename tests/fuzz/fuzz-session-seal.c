/* SPDX-License-Identifier: MIT */
/* A recording of a session of any shape is refused without harm. What can be opened holds no more than was put in, and opens no
 * more once a byte of a record is another. The records are sealed here, since no corpus can guess a tag: each line of the input is
 * one. Its first byte says whether it is sealed at all, since that takes most of the time, and its second what is done to it. */
#include <stdint.h>
#include <string.h>

#include "lib/data/session-seal.h"

#define SEALED_MAX (1 << 20)
#define SEALED_ONE_OF 16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static HpkeKey *our_key(void)
{
    static const uint8_t private[HPKE_KEY_SIZE] = { 8, 1 };
    static HpkeKey *k;

    if (!k && hpke_key_from_private(private, &k) < 0)
        abort();
    return k;
}

static int seal(const uint8_t *data, size_t size, Buf *out)
{
    uint8_t public[HPKE_KEY_SIZE];
    SessionSeal s;

    if (hpke_key_public(our_key(), public) < 0)
        abort();
    int r = session_seal_begin(&s, public, "g-1/1", out);
    for (size_t at = 0; r >= 0 && at < size;) {
        const uint8_t *end = memchr(data + at, '\n', size - at);
        size_t len = end ? (size_t) (end - data) + 1 - at : size - at;
        r = session_seal_add(&s, data + at, len, at + len == size, out);
        at += len;
    }
    return r;
}

static void check_own(const uint8_t *data, size_t size)
{
    _cleanup_(buf_done) Buf sealed = BUF_INIT(SEALED_MAX);
    SessionText o = {};

    if (size < 3 || size > 4096 || data[0] % SEALED_ONE_OF != 0 || seal(data + 2, size - 2, &sealed) < 0)
        return;
    if (session_open(our_key(), sealed.data, sealed.len, &o, NULL) < 0 || !o.is_whole || o.text.len != size - 2 ||
        memcmp(o.text.data, data + 2, size - 2) != 0)
        abort();
    session_text_done(&o);
    const size_t at = sealed.len - 1 - data[1] % (sealed.len - 1);
    sealed.data[at] ^= 1;
    if (session_open(our_key(), sealed.data, sealed.len, &o, NULL) >= 0 && o.is_whole)
        abort();
    session_text_done(&o);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    SessionText o = {};

    if (session_open(our_key(), data, size, &o, NULL) >= 0 && o.text.len > size)
        abort();
    session_text_done(&o);
    check_own(data, size);
    return 0;
}

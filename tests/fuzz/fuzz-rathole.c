/* SPDX-License-Identifier: MIT */
/* What a rathole server says: whole, and in pieces whose size the first byte gives; both must be understood alike. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "relay-client/rathole/rathole-frame.h"

#define WORDS_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t read_all(RatholeTurn turn, const uint8_t *data, size_t size, size_t step,
                       RatholeWord words[static WORDS_MAX])
{
    RatholeReader r = { .turn = turn };
    size_t n = 0;

    for (size_t at = 0; at < size; at += step) {
        const uint8_t *piece = data + at;
        size_t len = size - at < step ? size - at : step;

        while (len > 0) {
            size_t before = len;
            RatholeWord word = rathole_read(&r, &piece, &len);

            if (len >= before || r.n >= sizeof(r.held))
                abort();
            if (word != RATHOLE_MORE && n < WORDS_MAX)
                words[n++] = word;
        }
    }
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static RatholeWord whole[WORDS_MAX], pieces[WORDS_MAX];

    if (size < 2)
        return 0;
    RatholeTurn turn = (RatholeTurn) (data[0] % (RATHOLE_TURN_DATA + 1));
    size_t n = read_all(turn, data + 2, size - 2, size, whole);

    if (read_all(turn, data + 2, size - 2, 1 + (size_t) data[1], pieces) != n ||
        memcmp(whole, pieces, n * sizeof(whole[0])) != 0)
        abort();
    return 0;
}

/* SPDX-License-Identifier: MIT */
/* Rathole's messages byte for byte, in every cut, and what no server may say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/encode.h"
#include "lib/base/strv.h"
#include "relay-client/rathole/rathole-frame.h"

/* Made by a program that is none of ours: sha256("box"), and sha256("rathole-token-1" + the bytes 0 to 31). */
#define NAME_DIGEST "26f8567f2569182294c3fa5b9f9cb2270b554eef628b4c149cf82a42888ff4ae"
#define KEY "bb92985476a5a15a7c594606b9dfd7fe94a9ec7cefddc59ddae93e93c68829eb"

static void assert_hex(const uint8_t *data, size_t len, const char *expected)
{
    _cleanup_(freep) char *hex = hex_encode(data, len);

    assert_string_equal(hex, expected);
}

static void nonce_fill(uint8_t nonce[static RATHOLE_KEY_SIZE])
{
    for (uint8_t i = 0; i < RATHOLE_KEY_SIZE; i++)
        nonce[i] = i;
}

static void test_what_the_client_says(void **state _unused_)
{
    uint8_t hello[RATHOLE_HELLO_SIZE], nonce[RATHOLE_KEY_SIZE], key[RATHOLE_KEY_SIZE];

    assert_int_equal(rathole_control_hello("box", hello), 0);
    assert_hex(hello, sizeof(hello),
               "00000000"
               "01" NAME_DIGEST);
    nonce_fill(nonce);
    assert_int_equal(rathole_session_key("rathole-token-1", nonce, key), 0);
    assert_hex(key, sizeof(key), KEY);
    rathole_data_hello(key, hello);
    assert_hex(hello, sizeof(hello),
               "01000000"
               "01" KEY);
}

typedef struct Script {
    RatholeTurn turn;
    const char *hex;
    const RatholeWord words[8]; /* up to RATHOLE_MORE */
} Script;

#define NONCE "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define SERVER_HELLO                                                                                                   \
    "00000000"                                                                                                         \
    "01" NONCE

static const Script scripts[] = {
    { RATHOLE_TURN_HELLO, SERVER_HELLO, { RATHOLE_NONCE } },
    { RATHOLE_TURN_HELLO,
      SERVER_HELLO "00000000"
                   "00000000"
                   "01000000"
                   "00000000",
      { RATHOLE_NONCE, RATHOLE_ACCEPTED, RATHOLE_CREATE, RATHOLE_HEARTBEAT, RATHOLE_CREATE } },
    { RATHOLE_TURN_HELLO, SERVER_HELLO "01000000", { RATHOLE_NONCE, RATHOLE_UNKNOWN } },
    { RATHOLE_TURN_HELLO, SERVER_HELLO "02000000", { RATHOLE_NONCE, RATHOLE_BAD_TOKEN } },
    { RATHOLE_TURN_HELLO, SERVER_HELLO "03000000", { RATHOLE_NONCE, RATHOLE_GARBAGE } },
    { RATHOLE_TURN_HELLO,
      "00000000"
      "02" NONCE,
      { RATHOLE_GARBAGE } },
    { RATHOLE_TURN_HELLO,
      "01000000"
      "01" NONCE,
      { RATHOLE_GARBAGE } },
    { RATHOLE_TURN_HELLO,
      "00000001"
      "01" NONCE,
      { RATHOLE_GARBAGE } },
    { RATHOLE_TURN_COMMANDS, "02000000", { RATHOLE_GARBAGE } },
    { RATHOLE_TURN_COMMANDS, "00000080", { RATHOLE_GARBAGE } },
    { RATHOLE_TURN_DATA, "00000000", { RATHOLE_START } },
    { RATHOLE_TURN_DATA, "01000000", { RATHOLE_GARBAGE } }, /* UDP */
};

static size_t unhex(const char *hex, uint8_t *to)
{
    size_t n = strlen(hex) / 2;

    for (size_t i = 0; i < n; i++) {
        const char digits[] = { hex[2 * i], hex[2 * i + 1], '\0' };
        to[i] = (uint8_t) strtoul(digits, NULL, 16);
    }
    return n;
}

/* Cut into pieces of `step` bytes. */
static void play(const Script *s, size_t step)
{
    RatholeReader r = { .turn = s->turn };
    uint8_t bytes[128];
    size_t size = unhex(s->hex, bytes), said = 0;

    for (size_t at = 0; at < size; at += step) {
        const uint8_t *data = bytes + at;
        size_t len = size - at < step ? size - at : step;

        while (len > 0) {
            RatholeWord word = rathole_read(&r, &data, &len);
            if (word == RATHOLE_MORE)
                continue;
            assert_int_equal(word, s->words[said]);
            if (word == RATHOLE_NONCE)
                assert_hex(rathole_nonce(&r), RATHOLE_KEY_SIZE, NONCE);
            said++;
        }
        assert_ptr_equal(data, bytes + at + (size - at < step ? size - at : step));
    }
    assert_int_equal(s->words[said], RATHOLE_MORE);
}

static void test_what_a_server_says_in_every_cut(void **state _unused_)
{
    for (size_t i = 0; i < ELEMENTSOF(scripts); i++)
        for (size_t step = 1; step <= RATHOLE_HELLO_SIZE + 4 * RATHOLE_WORD_SIZE; step++)
            play(&scripts[i], step);
}

static void test_what_follows_a_start_is_left(void **state _unused_)
{
    RatholeReader r = { .turn = RATHOLE_TURN_DATA };
    const uint8_t bytes[] = { 0, 0, 0, 0, 'G', 'E', 'T' }, *data = bytes;
    size_t len = sizeof(bytes);

    assert_int_equal(rathole_read(&r, &data, &len), RATHOLE_START);
    assert_int_equal(len, 3);
    assert_ptr_equal(data, bytes + 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_the_client_says),
        cmocka_unit_test(test_what_a_server_says_in_every_cut),
        cmocka_unit_test(test_what_follows_a_start_is_left),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

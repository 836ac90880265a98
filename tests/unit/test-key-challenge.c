/* SPDX-License-Identifier: MIT */
/* A proof is good for one key, one nonce, one device. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/tunnel/key-challenge.h"

static void test_proof(void **state)
{
    _cleanup_(key_freep) Key *key = NULL, *other = NULL;
    _cleanup_(freep) char *proof = NULL;

    (void) state;
    assert_int_equal(key_generate(&key, NULL), 0);
    assert_int_equal(key_generate(&other, NULL), 0);
    assert_int_equal(challenge_prove(key, "nonce-1", "caseta5", &proof), 0);
    assert_int_equal(challenge_check(key, "nonce-1", "caseta5", proof), 0);
    assert_int_equal(challenge_check(other, "nonce-1", "caseta5", proof), -EBADMSG);
    assert_int_equal(challenge_check(key, "nonce-2", "caseta5", proof), -EBADMSG);
    assert_int_equal(challenge_check(key, "nonce-1", "caseta6", proof), -EBADMSG);
    proof[3] = proof[3] == 'A' ? 'B' : 'A';
    assert_int_equal(challenge_check(key, "nonce-1", "caseta5", proof), -EBADMSG);
    assert_int_equal(challenge_check(key, "nonce-1", "caseta5", ""), -EBADMSG);
    assert_int_equal(challenge_check(key, "nonce-1", "caseta5", "not base64url!"), -EBADMSG);
}

/* What could move the border between nonce and device is not signed. */
static void test_borders(void **state)
{
    _cleanup_(key_freep) Key *key = NULL;
    char longest[CHALLENGE_NONCE_MAX + 2];
    char *proof = NULL;

    (void) state;
    assert_int_equal(key_generate(&key, NULL), 0);
    memset(longest, 'n', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    static const char *const bad[] = { "", "a\nb", "a b", "\x7f", "\xc3\xa9" };
    for (size_t i = 0; i < ELEMENTSOF(bad); i++)
        assert_int_equal(challenge_prove(key, bad[i], "caseta5", &proof), -EINVAL);
    assert_int_equal(challenge_prove(key, longest, "caseta5", &proof), -EINVAL);
    assert_int_equal(challenge_prove(key, "nonce", "case\nta5", &proof), -EINVAL);
    assert_null(proof);
    longest[CHALLENGE_NONCE_MAX] = '\0';
    assert_int_equal(challenge_prove(key, longest, "caseta5", &proof), 0);
    free(proof);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_proof), cmocka_unit_test(test_borders) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

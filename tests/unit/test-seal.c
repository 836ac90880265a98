/* SPDX-License-Identifier: MIT */
/* What only a box may read: RFC 9180, and the form that files and keys of a push have. */
#include "tests/unit/agent-root.h"

#include <errno.h>

#include "lib/base/encode.h"
#include "lib/data/seal.h"

#define PRIVATE "4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8"
#define PUBLIC "3948cfe0ad1ddb695d780e59077195da6c56506b027329794ab02bca80815c4d"
#define ENC "37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431"
#define INFO "Ode on a Grecian Urn"
#define TEXT "Beauty is truth, truth beauty"
#define TEXT_LEN (sizeof(TEXT) - 1)

static HpkeKey *key_of(const char *hex)
{
    uint8_t private[HPKE_KEY_SIZE];
    HpkeKey *k = NULL;

    assert_int_equal(hex_decode(hex, private, sizeof(private)), 0);
    assert_int_equal(hpke_key_from_private(private, &k), 0);
    return k;
}

/* Appendix A.1.1 of the RFC; the same with the longer key, as another implementation has sealed it. */
static void what_others_have_sealed(void **state)
{
    static const struct {
        HpkeCipher cipher;
        const char *sealed;
    } cases[] = {
        { HPKE_AES_128_GCM,
          ENC "f938558b5d72f1a23810b4be2ab4f84331acc02fc97babc53a52ae8218a355a96d8770ac83d07bea87e13c512a" },
        { HPKE_AES_256_GCM,
          ENC "090b7dc225419f7da9e8b460becfbb96a26c7964d79b8010d397fa838530a32a397b14f5776db19ff5e57734e0" },
    };
    _cleanup_(hpke_key_freep) HpkeKey *k = key_of(PRIVATE);
    uint8_t public[HPKE_KEY_SIZE], expected[HPKE_KEY_SIZE], sealed[TEXT_LEN + HPKE_OVERHEAD], text[TEXT_LEN];
    const HpkeText info = { INFO, sizeof(INFO) - 1 }, aad = { "Count-0", 7 }, other = { "Count-1", 7 };

    (void) state;
    assert_int_equal(hex_decode(PUBLIC, expected, sizeof(expected)), 0);
    assert_int_equal(hpke_key_public(k, public), 0);
    assert_memory_equal(public, expected, sizeof(public));
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        assert_int_equal(hex_decode(cases[i].sealed, sealed, sizeof(sealed)), 0);
        const HpkeText whole = { sealed, sizeof(sealed) };

        assert_int_equal(hpke_open(cases[i].cipher, k, info, aad, whole, text), 0);
        assert_memory_equal(text, TEXT, TEXT_LEN);
        assert_int_equal(hpke_open(cases[i].cipher, k, info, other, whole, text), -EBADMSG);
        assert_int_equal(hpke_open(cases[i].cipher, k, other, aad, whole, text), -EBADMSG);
        for (size_t at = 0; at < sizeof(sealed); at++) {
            sealed[at] ^= 1;
            assert_int_equal(hpke_open(cases[i].cipher, k, info, aad, whole, text), -EBADMSG);
            sealed[at] ^= 1;
        }
        assert_int_equal(hpke_open(cases[i].cipher, k, info, aad, (HpkeText) { sealed, HPKE_OVERHEAD - 1 }, text),
                         -EBADMSG);
    }
}

static void what_is_sealed_here(void **state)
{
    _cleanup_(hpke_key_freep) HpkeKey *k = key_of(PRIVATE);
    uint8_t public[HPKE_KEY_SIZE], sealed[TEXT_LEN + HPKE_OVERHEAD], again[sizeof(sealed)], text[TEXT_LEN];
    static const uint8_t zero[HPKE_KEY_SIZE];
    const HpkeText info = { INFO, sizeof(INFO) - 1 }, none = {}, message = { TEXT, TEXT_LEN };

    (void) state;
    assert_int_equal(hpke_key_public(k, public), 0);
    assert_int_equal(hpke_seal(HPKE_AES_256_GCM, public, info, none, message, sealed), 0);
    assert_int_equal(hpke_seal(HPKE_AES_256_GCM, public, info, none, message, again), 0);
    assert_memory_not_equal(sealed, again, sizeof(sealed));
    assert_int_equal(hpke_open(HPKE_AES_256_GCM, k, info, none, (HpkeText) { sealed, sizeof(sealed) }, text), 0);
    assert_memory_equal(text, TEXT, TEXT_LEN);
    /* a point of small order, with which anybody could know the secret */
    assert_int_equal(hpke_seal(HPKE_AES_256_GCM, zero, info, none, message, sealed), -EINVAL);
}

static void a_box_has_one_key(void **state)
{
    _cleanup_(freep) char *path = path_in_root(AGENT_STATE_DIR "/seal.key"), *text = NULL, *same = NULL;
    _cleanup_(hpke_key_freep) HpkeKey *k = NULL, *again = NULL, *bad = NULL;
    _cleanup_(error_done) Error err = {};
    uint8_t public[HPKE_KEY_SIZE];
    struct stat st;

    (void) state;
    assert_int_equal(hpke_key_load_or_make(path, &k, &err), 0);
    assert_int_equal(hpke_key_load_or_make(path, &again, &err), 0);
    text = seal_public_print(k);
    same = seal_public_print(again);
    assert_string_equal(text, same);
    assert_int_equal(strlen(text), SEAL_PUBLIC_TEXT);
    assert_int_equal(seal_public_parse(text, public), 0);
    assert_int_equal(seal_public_parse("AAAA", public), -EINVAL);
    assert_int_equal(seal_public_parse(NULL, public), -EINVAL);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    agent_root_write(AGENT_STATE_DIR "/seal.key", "nonsense");
    assert_int_equal(hpke_key_load_or_make(path, &bad, &err), -EBADMSG);
    assert_string_equal(error_id(&err), "key.bad");
    agent_root_write(AGENT_STATE_DIR "/seal.key", NULL);
}

static void a_key_is_one_boxs_and_a_file_its_paths(void **state)
{
    _cleanup_(hpke_key_freep) HpkeKey *k = key_of(PRIVATE), *other = key_of(ENC);
    uint8_t key[SEAL_KEY_SIZE], found[SEAL_KEY_SIZE], public[HPKE_KEY_SIZE];
    _cleanup_(freep) char *wrapped = NULL, *sealed = NULL, *opened = NULL, *empty = NULL, *none = NULL;
    size_t len = 0, n = 0;

    (void) state;
    random_bytes(key, sizeof(key));
    assert_int_equal(hpke_key_public(k, public), 0);
    assert_int_equal(seal_wrap(key, public, "caseta5", &wrapped), 0);
    assert_int_equal(strlen(wrapped), SEAL_WRAPPED_TEXT);
    assert_true(seal_wrapped_is_valid(wrapped));
    assert_false(seal_wrapped_is_valid("AAAA"));
    assert_false(seal_wrapped_is_valid(NULL));
    assert_int_equal(seal_unwrap(wrapped, k, "caseta5", found), 0);
    assert_memory_equal(key, found, sizeof(key));
    assert_int_equal(seal_unwrap(wrapped, k, "caseta6", found), -EBADMSG);
    assert_int_equal(seal_unwrap(wrapped, other, "caseta5", found), -EBADMSG);
    assert_int_equal(seal_unwrap("AAAA", k, "caseta5", found), -EBADMSG);

    assert_int_equal(seal_file(key, "db/password", TEXT, TEXT_LEN, &sealed, &len), 0);
    assert_true(seal_is_sealed(sealed, len));
    assert_false(seal_is_sealed(TEXT, TEXT_LEN));
    assert_null(memmem(sealed, len, "Beauty", 6));
    assert_int_equal(seal_open_file(key, "db/password", sealed, len, &opened, &n), 0);
    assert_int_equal(n, TEXT_LEN);
    assert_string_equal(opened, TEXT);
    free(opened);
    opened = NULL;
    assert_int_equal(seal_open_file(key, "db/other", sealed, len, &opened, &n), -EBADMSG);
    assert_int_equal(seal_open_file(key, "db/password", sealed, len - 1, &opened, &n), -EBADMSG);
    assert_int_equal(seal_open_file(key, "db/password", TEXT, TEXT_LEN, &opened, &n), -EBADMSG);
    key[0] ^= 1;
    assert_int_equal(seal_open_file(key, "db/password", sealed, len, &opened, &n), -EBADMSG);
    assert_int_equal(seal_file(key, "e", "", 0, &empty, &len), 0);
    assert_int_equal(seal_open_file(key, "e", empty, len, &none, &n), 0);
    assert_int_equal(n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_others_have_sealed),
        cmocka_unit_test(what_is_sealed_here),
        cmocka_unit_test(a_box_has_one_key),
        cmocka_unit_test(a_key_is_one_boxs_and_a_file_its_paths),
    };

    return cmocka_run_group_tests_name("seal", tests, agent_root_make, agent_root_remove);
}

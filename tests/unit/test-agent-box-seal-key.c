/* SPDX-License-Identifier: MIT */
/* What the cloud is told of the key that secrets are sealed with. */
#include "tests/unit/agent-root.h"

#include "lib/data/key-hpke.h"
#include "mgmt-agent/agent/box-seal-key.h"

/* The keys of RFC 7748, 6.1: what is public of them, and what is not. */
#define ALICE "hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo"
#define BOB "3p7bfXt9wbTTW2HC7OQ1Nz-DQ8hbeGdNrfx-FG-IK08"
#define PEM(base64) "-----BEGIN PRIVATE KEY-----\n" base64 "\n-----END PRIVATE KEY-----\n"
#define ALICE_PEM PEM("MC4CAQAwBQYDK2VuBCIEIHcHbQpzGKV9PBbBclGyZkXfTC+H68CZKrF3+6UduSwq")
#define BOB_PEM PEM("MC4CAQAwBQYDK2VuBCIEIF2rCH5iSopLeeF/i4OADuZvO7EpJhi2/Rwviyf/iODr")

static void test_one_that_is_there(void **state _unused_)
{
    _cleanup_(box_seal_key_freep) BoxSealKey *k = box_seal_key_new();

    agent_root_write(SEAL_KEY_PATH, ALICE_PEM);
    assert_string_equal(box_seal_key_text(k), ALICE);
    assert_string_equal(box_seal_key_text(k), ALICE);
    agent_root_write(SEAL_KEY_PATH, BOB_PEM);
    assert_string_equal(box_seal_key_text(k), BOB);
}

static void test_one_that_is_made(void **state _unused_)
{
    _cleanup_(box_seal_key_freep) BoxSealKey *k = box_seal_key_new(), *after = box_seal_key_new();
    _cleanup_(freep) char *first = strdup(box_seal_key_text(k)), *file = agent_root_read(SEAL_KEY_PATH), *same = NULL;

    assert_int_equal(strlen(first), strlen(ALICE));
    assert_string_equal(box_seal_key_text(k), first);
    assert_string_equal(box_seal_key_text(after), first);
    same = agent_root_read(SEAL_KEY_PATH);
    assert_string_equal(file, same);
    agent_root_write(SEAL_KEY_PATH, NULL);
    assert_string_not_equal(box_seal_key_text(k), first);
}

static void test_none(void **state _unused_)
{
    _cleanup_(box_seal_key_freep) BoxSealKey *k = box_seal_key_new();

    agent_root_write(SEAL_KEY_PATH, "nonsense");
    assert_null(box_seal_key_text(k));
    agent_root_write(SEAL_KEY_PATH, BOB_PEM);
    assert_string_equal(box_seal_key_text(k), BOB);
    agent_root_write(SEAL_KEY_PATH, "nonsense");
    assert_null(box_seal_key_text(k));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_one_that_is_there, agent_root_make, agent_root_remove),
        cmocka_unit_test_setup_teardown(test_one_that_is_made, agent_root_make, agent_root_remove),
        cmocka_unit_test_setup_teardown(test_none, agent_root_make, agent_root_remove),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

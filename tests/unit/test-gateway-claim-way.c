/* SPDX-License-Identifier: MIT */
/* By what a key becomes that of a role: all that the gateway may know of the box, and what follows. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/devices/claim-way.h"
#include "lib/base/mem.h"

static void test_the_management_key_is_claimed_by_bootstrap_alone(void **state _unused_)
{
    for (unsigned i = 0; i < 8; i++) {
        const ClaimView v = { ROLE_MGMT, i & 1, i & 2, i & 4 };

        assert_int_equal(claim_way(&v), CLAIM_BY_BOOTSTRAP);
    }
}

static void test_other_roles(void **state _unused_)
{
    static const struct {
        bool agent_vouches, is_vouched, is_present;
        ClaimWay way;
    } table[] = {
        /* an agent of before: as it was */
        { false, false, false, CLAIM_BY_LEGACY_BOOTSTRAP },
        { false, false, true, CLAIM_BY_LEGACY_BOOTSTRAP },
        { false, true, false, CLAIM_BY_LEGACY_BOOTSTRAP },
        { false, true, true, CLAIM_BY_LEGACY_BOOTSTRAP },
        /* a stolen token is worth nothing */
        { true, false, false, CLAIM_WAITS },
        /* a program that is older than its agent keeps what it has */
        { true, false, true, CLAIM_AGAIN },
        { true, true, false, CLAIM_BY_VOUCHER },
        { true, true, true, CLAIM_AGAIN },
    };
    for (Role role = ROLE_DEVICE; role <= ROLE_RECOVERY; role++)
        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
            const ClaimView v = { role, table[i].agent_vouches, table[i].is_vouched, table[i].is_present };

            assert_int_equal(claim_way(&v), table[i].way);
        }
}

static void test_what_the_registry_knows(void **state _unused_)
{
    _cleanup_(device_registry_freep) DeviceRegistry *r = device_registry_new();

    assert_int_equal(device_registry_put_vouched(r, "a", ROLE_DEVICE, "k1"), -ENOENT);
    assert_int_equal(device_registry_put_device(r, "a", false), 0);
    assert_false(device_registry_vouches(r, "a"));
    assert_int_equal(device_registry_put_vouched(r, "a", ROLE_DEVICE, "k1"), 0);
    assert_false(device_registry_is_vouched(r, "a", ROLE_DEVICE, "k1"));
    device_registry_set_vouches(r, "a", true);
    assert_true(device_registry_vouches(r, "a"));
    assert_true(device_registry_is_vouched(r, "a", ROLE_DEVICE, "k1"));
    assert_false(device_registry_is_vouched(r, "a", ROLE_DEVICE, "k2"));
    assert_false(device_registry_is_vouched(r, "a", ROLE_RECOVERY, "k1"));
    assert_false(device_registry_is_vouched(r, "b", ROLE_DEVICE, "k1"));
    assert_int_equal(device_registry_put_key(r, "a", ROLE_DEVICE, "k1"), 0);
    device_registry_remove_key(r, "a", ROLE_DEVICE);
    assert_true(device_registry_is_vouched(r, "a", ROLE_DEVICE, "k1"));
    assert_int_equal(device_registry_put_vouched(r, "a", ROLE_DEVICE, NULL), 0);
    assert_false(device_registry_is_vouched(r, "a", ROLE_DEVICE, "k1"));
    device_registry_remove(r, "a");
    assert_false(device_registry_vouches(r, "a"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_management_key_is_claimed_by_bootstrap_alone),
        cmocka_unit_test(test_other_roles),
        cmocka_unit_test(test_what_the_registry_knows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* UUIDs as text, and those that are made here. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/base/uuid.h"

/* the example of RFC 9562, appendix A.6 */
static void test_version_7(void **state)
{
    static const uint8_t random[10] = { 0x0c, 0xc3, 0x18, 0xc4, 0xdc, 0x0c, 0x0c, 0x07, 0x39, 0x8f };
    char id[UUID_SIZE];

    (void) state;
    uuid7_format(UINT64_C(0x017f22e279b0), random, id);
    assert_string_equal(id, "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
    assert_true(uuid_is_valid(id));
}

static void test_made_now(void **state)
{
    char a[UUID_SIZE], b[UUID_SIZE], head[14];
    uint64_t before = realtime_usec() / USEC_PER_MSEC, at;

    (void) state;
    uuid7_make(a);
    uuid7_make(b);
    assert_true(uuid_is_valid(a) && a[14] == '7' && strchr("89ab", a[19]));
    assert_string_not_equal(a, b);
    memcpy(head, a, 8);
    memcpy(head + 8, a + 9, 4);
    head[12] = '\0';
    at = strtoull(head, NULL, 16);
    assert_true(at >= before && at <= realtime_usec() / USEC_PER_MSEC);
}

/* whatever the bytes are, the version and the variant are those that readers look for */
static void test_format(void **state)
{
    uint8_t ones[UUID_BYTES], zeros[UUID_BYTES] = {};
    char id[UUID_SIZE];

    (void) state;
    memset(ones, 0xff, sizeof(ones));
    uuid_format(ones, 8, id);
    assert_string_equal(id, "ffffffff-ffff-8fff-bfff-ffffffffffff");
    uuid_format(zeros, 4, id);
    assert_string_equal(id, "00000000-0000-4000-8000-000000000000");
    assert_true(uuid_is_valid(id));
}

static void test_version_4(void **state)
{
    char a[UUID_SIZE], b[UUID_SIZE];

    (void) state;
    uuid4_make(a);
    uuid4_make(b);
    assert_true(uuid_is_valid(a) && a[UUID_VERSION_AT] == '4' && strchr("89ab", a[19]));
    assert_string_not_equal(a, b);
}

static void test_valid(void **state)
{
    static const char *const bad[] = {
        "",
        "017f22e2",
        "017f22e2-79b0-7cc3-98c4-dc0c0c07398",
        "017f22e2-79b0-7cc3-98c4-dc0c0c07398f0",
        "017F22e2-79b0-7cc3-98c4-dc0c0c07398f",
        "017f22e279b0-7cc3-98c4-dc0c0c07398f-",
        "{17f22e2-79b0-7cc3-98c4-dc0c0c07398}",
        "017f22e2-79b0-7cc3-98c4-dc0c0c07398f ",
        "017f22e2-79b0-7cc3-98c4",
    };

    (void) state;
    assert_false(uuid_is_valid(NULL));
    for (size_t i = 0; i < ELEMENTSOF(bad); i++)
        assert_false(uuid_is_valid(bad[i]));
}

static void test_parse(void **state)
{
    char id[UUID_SIZE];

    (void) state;
    assert_int_equal(uuid_parse("017F22e2-79B0-7cc3-98c4-dc0c0c07398f", id), 0);
    assert_string_equal(id, "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
    assert_int_equal(uuid_parse("017F22e2-79B0-7cc3-98c4-dc0c0c07398g", id), -EINVAL);
    assert_int_equal(uuid_parse("017F22e2-79B0-7cc3-98c4-dc0c0c07398", id), -EINVAL);
    assert_int_equal(uuid_parse(NULL, id), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_version_7), cmocka_unit_test(test_made_now), cmocka_unit_test(test_format),
        cmocka_unit_test(test_version_4), cmocka_unit_test(test_valid),    cmocka_unit_test(test_parse),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

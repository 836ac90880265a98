/* SPDX-License-Identifier: MIT */
/* The ids of tokens, which people give to commands. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/data/jwt.h"

static void test_ids_can_be_given_to_a_command(void **state)
{
    char last[JWT_ID_SIZE] = "", id[JWT_ID_SIZE];

    (void) state;
    for (int i = 0; i < 2000; i++) {
        assert_int_equal(jwt_id_make(id), 0);
        assert_true(jwt_id_is_valid(id));
        if (!((id[0] >= 'a' && id[0] <= 'z') || (id[0] >= 'A' && id[0] <= 'Z')))
            fail_msg("%s begins with no letter", id);
        assert_string_not_equal(id, last);
        memcpy(last, id, sizeof(id));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ids_can_be_given_to_a_command),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* What a box says of its configuration: how much of it is kept, and what counts as news. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "gateway/devices/config-faults.h"
#include "lib/data/json.h"

#define FAULT(program, since)                                                                                          \
    "{\"program\":\"" program "\",\"since\":\"" since "\",\"error\":{\"id\":\"config.value\",\"message\":\"no\"}}"

static void test_what_is_kept(void **state)
{
    _cleanup_(cJSON_Deletep) cJSON *said = cJSON_Parse(
        "[" FAULT("mgmt-link", "t1") ",7,{},{\"program\":\"x\"},{\"program\":\"x\",\"since\":\"t\",\"error\":{}},"
                                     "{\"program\":\"x\",\"since\":1,\"error\":{\"message\":\"m\"}}]");
    _cleanup_(cJSON_Deletep) cJSON *kept = config_faults_kept(said), *none = config_faults_kept(NULL);

    (void) state;
    assert_int_equal(cJSON_GetArraySize(kept), 1);
    assert_string_equal(json_string(cJSON_GetArrayItem(kept, 0), "program"), "mgmt-link");
    assert_non_null(none);
    assert_int_equal(cJSON_GetArraySize(none), 0);
}

static void test_a_box_that_says_too_much(void **state)
{
    _cleanup_(cJSON_Deletep) cJSON *said = cJSON_CreateArray();

    (void) state;
    for (int i = 0; i < 100; i++)
        assert_int_equal(json_append(said, cJSON_Parse(FAULT("mgmt-link", "t1"))), 0);
    _cleanup_(cJSON_Deletep) cJSON *kept = config_faults_kept(said);
    assert_int_equal(cJSON_GetArraySize(kept), 8);
}

static void test_what_is_news(void **state)
{
    _cleanup_(cJSON_Deletep) cJSON *faults = cJSON_Parse("[" FAULT("mgmt-link", "t1") "," FAULT("secbox", "t2") "]");
    static const struct {
        const char *fault;
        bool held;
    } cases[] = {
        { FAULT("mgmt-link", "t1"), true },
        { FAULT("secbox", "t2"), true },
        { FAULT("mgmt-link", "t2"), false },
        { FAULT("recovery-agent", "t1"), false },
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(cJSON_Deletep) cJSON *fault = cJSON_Parse(cases[i].fault);
        assert_int_equal(config_faults_hold(faults, fault), cases[i].held);
        assert_false(config_faults_hold(NULL, fault));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_kept),
        cmocka_unit_test(test_a_box_that_says_too_much),
        cmocka_unit_test(test_what_is_news),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* What of a box's values is kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/health/device-health.h"
#include "gateway/health/health-summary.h"
#include "gateway/store/health-table.h"
#include "lib/base/strv.h"

static void check(const char *values, const char *want)
{
    _cleanup_(cJSON_Deletep) cJSON *o = NULL;

    assert_int_equal(json_parse_object(values, strlen(values), &o, NULL), 0);
    _cleanup_(cJSON_Deletep) cJSON *summary = health_summary(o);
    _cleanup_(freep) char *text = json_print_canonical(summary);
    assert_string_equal(text, want);
}

static void test_what_is_absent_stays_absent(void **state)
{
    (void) state;
    check("{}", "{\"faults\":{}}");
    check("{\"disks\":{},\"memory\":{\"totalMiB\":0,\"availableMiB\":0},\"load\":[],\"faults\":7}", "{\"faults\":{}}");
    check("{\"disks\":{\"/\":5,\"/"
          "a\":{\"usedPercent\":\"x\"}},\"temperatures\":{\"a\":null}}",
          "{\"faults\":{}}");
}

static void test_the_worst_counts(void **state)
{
    (void) state;
    check("{\"disks\":{\"/\":{\"usedPercent\":40,\"inodesPercent\":3},\"/a\":{\"usedPercent\":81.5}},"
          "\"temperatures\":{\"a\":-5,\"b\":48},\"services\":{\"x\":{\"restarts\":2,\"memoryMiB\":41},\"y\":{"
          "\"cpuPercent\":3.5},"
          "\"z\":{\"restarts\":1,\"memoryMiB\":7,\"cpuPercent\":120}},\"network\":{\"errors\":9},\"ownNetwork\":{"
          "\"errors\":99}}",
          "{\"celsius\":48,\"diskPercent\":81.5,\"faults\":{},\"inodesPercent\":3,\"networkErrors\":9,\"restarts\":3,"
          "\"serviceCpuPercent\":120,\"serviceMemoryMiB\":41}");
    check("{\"temperatures\":{\"a\":-5}}", "{\"celsius\":-5,\"faults\":{}}");
}

static void test_the_rest(void **state)
{
    (void) state;
    check(
        "{\"memory\":{\"totalMiB\":8000,\"availableMiB\":2000},\"cpu\":{\"percent\":12.5,\"count\":4},\"load\":{\"1\":"
        "0.4},"
        "\"pressure\":{\"ioFull10\":3,\"memoryFull10\":0},\"updatesPending\":1,\"replica\":{\"ageSeconds\":90},"
        "\"queue\":{\"waiting\":7,\"dead\":0},\"faults\":{\"a\":\"x\",\"b\":\"y\"}}",
        "{\"cpuPercent\":12.5,\"dataAgeSeconds\":90,\"diskStalls\":3,\"faults\":{\"a\":true,\"b\":true},\"load1\":0.4,"
        "\"memoryPercent\":75,\"memoryStalls\":0,\"queueDead\":0,\"queueWaiting\":7,\"updatesPending\":1}");
}

/* A box may name what it likes, and as much as it likes. */
static void test_faults_are_bounded(void **state)
{
    _cleanup_(cJSON_Deletep) cJSON *values = cJSON_CreateObject(), *summary = NULL;
    cJSON *faults = cJSON_AddObjectToObject(values, "faults");
    char name[300];

    (void) state;
    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    assert_int_equal(json_add_string(faults, name, "too long"), 0);
    for (int i = 0; i < 100; i++) {
        _cleanup_(freep) char *key = str_format("fault-%d", i);
        assert_int_equal(json_add_string(faults, key, "x"), 0);
    }
    summary = health_summary(values);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(summary, "faults")), SUMMARY_FAULTS_MAX);
    assert_null(cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(summary, "faults"), name));
}

/* Each box is saved once in five minutes of the history, and they do not come all together. */
static void test_boxes_are_saved_one_after_the_other(void **state)
{
    const usec_t begin = (usec_t) 5000000 * HEALTH_SLOT_SECONDS;
    unsigned saved[HEALTH_SLOT_SECONDS] = {};

    (void) state;
    for (int i = 0; i < 3000; i++) {
        _cleanup_(freep) char *device = str_format("caseta-%d", i);
        unsigned changes = 0;

        for (usec_t s = 0; s < HEALTH_SLOT_SECONDS; s++)
            if (health_slot(device, (begin + s) * USEC_PER_SEC) !=
                health_slot(device, (begin + s - 1) * USEC_PER_SEC)) {
                changes++;
                saved[s]++;
            }
        assert_int_equal(changes, 1);
    }
    for (size_t s = 0; s < HEALTH_SLOT_SECONDS; s++) {
        assert_true(saved[s] < 60);
        assert_true(saved[s] == 0 || s < HEALTH_SLOT_SECONDS - 60);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_absent_stays_absent),
        cmocka_unit_test(test_the_worst_counts),
        cmocka_unit_test(test_the_rest),
        cmocka_unit_test(test_faults_are_bounded),
        cmocka_unit_test(test_boxes_are_saved_one_after_the_other),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* The text of the metrics, and its bounds. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/health/health-summary.h"
#include "gateway/health/metrics.h"
#include "lib/base/strv.h"

static size_t count(const char *text, const char *what)
{
    size_t n = 0;

    for (const char *p = text; (p = strstr(p, what)); p++)
        n++;
    return n;
}

static void test_no_boxes(void **state)
{
    _cleanup_(buf_done) Buf b = BUF_INIT(65536);

    (void) state;
    assert_int_equal(metrics_print(NULL, 0, &b), 0);
    assert_non_null(strstr(b.data, "\nsecbox_boxes 0\n"));
    assert_null(strstr(b.data, "device="));
    assert_string_equal(b.data + b.len - 6, "# EOF\n");
    /* each family is there once, with its help and its type */
    assert_int_equal(count(b.data, "# HELP "), count(b.data, "# TYPE "));
    assert_int_equal(count(b.data, "# HELP "), 3 + 4 + SUMMARY_FIELDS);
}

static void test_values(void **state)
{
    double numbers[SUMMARY_FIELDS], none[SUMMARY_FIELDS];
    _cleanup_(buf_done) Buf b = BUF_INIT(65536);

    (void) state;
    for (size_t i = 0; i < SUMMARY_FIELDS; i++)
        numbers[i] = none[i] = NAN;
    numbers[0] = 92.5;
    MetricsBox boxes[] = {
        { .device = "b", .connected = true },
        { .device = "a",
          .box = { .told = true, .told_at = 1767323045.678, .clock_offset = NAN, .numbers = none, .faults = 3 },
          .secbox = { .told = true, .told_at = 1, .numbers = numbers } },
    };
    assert_int_equal(metrics_print(boxes, 2, &b), 0);
    static const char *const lines[] = {
        "secbox_boxes 2\n",
        "secbox_boxes_connected 1\n",
        "secbox_box_connected{device=\"a\"} 0\nsecbox_box_connected{device=\"b\"} 1\n",
        "secbox_box_faults{device=\"a\",part=\"box\"} 3\nsecbox_box_faults{device=\"a\",part=\"secbox\"} 0\n",
        "secbox_box_told_timestamp_seconds{device=\"a\",part=\"box\"} 1767323045.678\n",
        "secbox_box_disk_used_ratio{device=\"a\"} 0.925\n",
    };
    for (size_t i = 0; i < ELEMENTSOF(lines); i++)
        if (!strstr(b.data, lines[i]))
            fail_msg("%s is not in\n%s", lines[i], b.data);
    assert_null(strstr(b.data, "clock_offset_seconds{"));
    assert_null(strstr(b.data, "nan"));
}

static void test_bounds(void **state)
{
    enum { N = METRICS_BOXES_MAX + 5 };
    _cleanup_(buf_done) Buf b = BUF_INIT(8 << 20), small = BUF_INIT(1000);
    MetricsBox *boxes = calloc(N, sizeof(*boxes));
    char(*names)[16] = calloc(N, sizeof(*names));

    (void) state;
    assert_true(boxes && names);
    for (int i = 0; i < N; i++) {
        snprintf(names[i], sizeof(names[i]), "box-%05d", N - i);
        boxes[i].device = names[i];
    }
    assert_int_equal(metrics_print(boxes, N, &b), 0);
    assert_int_equal(count(b.data, "secbox_box_connected{"), METRICS_BOXES_MAX);
    assert_non_null(strstr(b.data, "\nsecbox_boxes_left_out 5\n"));
    assert_non_null(strstr(b.data, "{device=\"box-00001\"}"));
    assert_null(strstr(b.data, "{device=\"box-02001\"}"));
    assert_true(metrics_print(boxes, N, &small) < 0);
    free(boxes);
    free(names);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_boxes),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_bounds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* Windows of local time, over midnight and over the days on which clocks are changed. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "lib/base/strv.h"
#include "lib/base/maintenance-window.h"

static void test_good_and_bad_windows(void **state)
{
    static const char *const good[] = { "02:00-05:00", "00:00-24:00", "mon/02:00-05:00", "mon-fri+sun/22:00-06:00",
                                        "sat-mon/00:00-00:00,12:00-13:00" };
    static const char *const bad[] = {
        "",
        "02:00",
        "2:00-5:00",
        "02:00-05:00,",
        "02:00-05:00 ",
        "02:60-05:00",
        "24:00-05:00",
        "25:00-26:00",
        "mon 02:00-05:00",
        "Mon/02:00-05:00",
        "monday/02:00-05:00",
        "/02:00-05:00",
        "mon+/02:00-05:00",
        "mon-/02:00-05:00",
        ",02:00-05:00",
    };
    TimeWindow w[TIME_WINDOWS_MAX];
    size_t n = 0;

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(good); i++)
        if (windows_parse(good[i], w, &n) < 0)
            fail_msg("%s is refused", good[i]);
    assert_int_equal(n, 2);
    for (size_t i = 0; i < ELEMENTSOF(bad); i++)
        if (windows_parse(bad[i], w, &n) != -EINVAL)
            fail_msg("'%s' is taken", bad[i]);
    assert_int_equal(windows_parse("00:00-01:00,00:00-01:00,00:00-01:00,00:00-01:00,00:00-01:00,00:00-01:00,"
                                   "00:00-01:00,00:00-01:00,00:00-01:00,00:00-01:00,00:00-01:00,00:00-01:00,"
                                   "00:00-01:00,00:00-01:00,00:00-01:00,00:00-01:00,00:00-01:00",
                                   w, &n),
                     -E2BIG);
}

/* Local time of a place. */
static usec_t at(int day, int hour, int minute)
{
    struct tm tm = { .tm_year = 126, .tm_mon = 2, .tm_mday = day, .tm_hour = hour, .tm_min = minute, .tm_isdst = -1 };

    return (usec_t) mktime(&tm) * USEC_PER_SEC;
}

static void in_place(const char *zone)
{
    setenv("TZ", zone, 1);
    tzset();
}

/* March 2026: the 1st is a Sunday. */
static void test_open(void **state)
{
    static const struct {
        const char *windows;
        int day, hour, minute;
        bool open;
    } cases[] = {
        { "02:00-05:00", 2, 1, 59, false },
        { "02:00-05:00", 2, 2, 0, true },
        { "02:00-05:00", 2, 4, 59, true },
        { "02:00-05:00", 2, 5, 0, false },
        { "mon-fri/02:00-05:00", 1, 3, 0, false },
        { "mon-fri/02:00-05:00", 2, 3, 0, true },
        { "mon-fri/02:00-05:00", 6, 3, 0, true },
        { "mon-fri/02:00-05:00", 7, 3, 0, false },
        { "fri/22:00-06:00", 6, 23, 0, true },
        { "fri/22:00-06:00", 7, 5, 59, true },
        { "fri/22:00-06:00", 7, 22, 30, false },
        { "fri/22:00-06:00", 6, 5, 0, false },
        { "sat-mon/08:00-09:00", 1, 8, 0, true },
        { "sat-mon/08:00-09:00", 3, 8, 0, false },
        { "mon+wed/00:00-24:00", 4, 23, 59, true },
        { "mon+wed/00:00-24:00", 5, 0, 0, false },
        { "mon/00:00-00:00", 2, 12, 0, true },
        { "mon/00:00-00:00", 3, 0, 0, false },
        { "01:00-02:00,04:00-05:00", 2, 4, 30, true },
        { "01:00-02:00,04:00-05:00", 2, 3, 0, false },
    };
    TimeWindow w[TIME_WINDOWS_MAX];
    size_t n;

    (void) state;
    in_place("America/Mexico_City");
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        assert_int_equal(windows_parse(cases[i].windows, w, &n), 0);
        if (windows_are_open(w, n, at(cases[i].day, cases[i].hour, cases[i].minute)) != cases[i].open)
            fail_msg("%s on the %d at %02d:%02d", cases[i].windows, cases[i].day, cases[i].hour, cases[i].minute);
    }
    assert_true(windows_are_open(w, 0, at(2, 2, 2)));
}

static void test_next(void **state)
{
    TimeWindow w[TIME_WINDOWS_MAX];
    size_t n;

    (void) state;
    in_place("Europe/Madrid");
    assert_int_equal(windows_parse("fri/02:00-05:00", w, &n), 0);
    assert_int_equal(windows_next(w, n, at(6, 3, 30)), at(6, 3, 30));
    assert_int_equal(windows_next(w, n, at(6, 5, 0)), at(13, 2, 0));
    assert_int_equal(windows_next(w, n, at(1, 0, 0) + 17 * USEC_PER_SEC), at(6, 2, 0));
    assert_int_equal(windows_next(w, 0, at(1, 0, 0)), at(1, 0, 0));
    /* clocks are changed on the 29th: from two to three there is nothing */
    assert_int_equal(windows_parse("sun/02:00-03:30", w, &n), 0);
    assert_int_equal(windows_next(w, n, at(28, 12, 0)), at(29, 3, 0));
    assert_int_equal(windows_parse("sun/02:15-02:45", w, &n), 0);
    assert_int_equal(windows_next(w, n, at(28, 12, 0)), at(36, 2, 15));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_and_bad_windows),
        cmocka_unit_test(test_open),
        cmocka_unit_test(test_next),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* For how long, and from where, a certificate for support staff is good. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/sessions/certificate-rules.h"
#include "lib/data/json.h"

#define NOW 1700000000 /* seconds */
#define HOUR 3600
#define YEAR (365 * 24 * HOUR)

static CertificateValidity of(double offset, usec_t age, uint64_t grant_ends_at)
{
    const BoxClock clock = { .offset = offset, .age = age };
    return certificate_validity(&clock, grant_ends_at, (usec_t) NOW * USEC_PER_SEC);
}

static void test_validity(void **state _unused_)
{
    static const struct {
        double offset;
        usec_t age;
        uint64_t grant, after, before;
        bool once;
    } cases[] = {
        /* a clock that is nearly right: five minutes by whichever of the two is ahead, also beyond the grant's end */
        { 0, 0, NOW + HOUR, 0, NOW + 300, true },
        { 60, USEC_PER_MINUTE, NOW + HOUR, 0, NOW + 360, true },
        { -60, USEC_PER_MINUTE, NOW + HOUR, 0, NOW + 300, true },
        { 0, 0, NOW + 10, 0, NOW + 300, true },
        /* nothing was heard of it for too long, or never */
        { 0, 3 * USEC_PER_MINUTE, NOW + HOUR, 0, NOW + HOUR, false },
        { 0, USEC_INFINITY, NOW + HOUR, 0, NOW + HOUR, false },
        /* ahead: of the grant's end, where that would be over */
        { 2 * HOUR, 0, NOW + HOUR, NOW + 2 * HOUR - 300, NOW + 2 * HOUR + 300, true },
        { 5.0 * YEAR, 10 * USEC_PER_MINUTE, NOW + HOUR, NOW + UINT64_C(5) * YEAR - 300, NOW + UINT64_C(5) * YEAR + 300,
          true },
        { 2 * HOUR, 0, NOW + 24 * HOUR, 0, NOW + 24 * HOUR, false },
        { 11.0 * YEAR, 0, NOW + HOUR, 0, NOW + HOUR, false },
        /* behind, which a clock does not stay; no number */
        { -20.0 * YEAR, 0, NOW + HOUR, 0, NOW + HOUR, false },
        { -1e300, 0, NOW + HOUR, 0, NOW + HOUR, false },
        { INFINITY, 0, NOW + HOUR, 0, NOW + HOUR, false },
        { NAN, 0, NOW + HOUR, 0, NOW + HOUR, false },
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        CertificateValidity v = of(cases[i].offset, cases[i].age, cases[i].grant);
        if (v.after != cases[i].after || v.before != cases[i].before || v.once != cases[i].once)
            fail_msg("case %zu: from %llu to %llu", i, (unsigned long long) v.after, (unsigned long long) v.before);
    }
}

static void test_sources(void **state _unused_)
{
    static const struct {
        const char *way;
        bool is_bound;
    } cases[] = { { NULL, false }, { "auto", false }, { "device", false }, { "mgmt", true }, { "recovery", true } };
    const char *source;
    Error err = {};

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        source = "unset";
        assert_int_equal(certificate_source(cases[i].way, &source, NULL), 0);
        if (cases[i].is_bound)
            assert_string_equal(source, "127.0.0.1/32,::1/128");
        else
            assert_null(source);
    }
    assert_int_equal(certificate_source("window", &source, &err), -EINVAL);
    assert_string_equal(err.id, "bridge.way");
    error_done(&err);
}

static void test_clocks_travel(void **state _unused_)
{
    static const char *const unknown[] = {
        "{}",
        "{\"clock\":7}",
        "{\"clock\":{}}",
        "{\"clock\":{\"offset\":0}}",
        "{\"clock\":{\"ageUsec\":\"0\"}}",
        "{\"clock\":{\"offset\":\"0\",\"ageUsec\":\"0\"}}",
        "{\"clock\":{\"offset\":0,\"ageUsec\":\"-1\"}}",
    };
    const BoxClock told = { .offset = -12.5, .age = 90 * USEC_PER_SEC }, never = { .age = USEC_INFINITY };
    _cleanup_(cJSON_Deletep) cJSON *first = cJSON_CreateObject(), *second = cJSON_CreateObject();

    assert_int_equal(box_clock_add(&told, first), 0);
    assert_int_equal(box_clock_add(&never, second), 0);
    BoxClock read = box_clock_read(first);
    assert_true(read.offset == told.offset && read.age == told.age);
    assert_true(box_clock_read(second).age == USEC_INFINITY);
    for (size_t i = 0; i < ELEMENTSOF(unknown); i++) {
        _cleanup_(cJSON_Deletep) cJSON *question = cJSON_Parse(unknown[i]);
        if (box_clock_read(question).age != USEC_INFINITY)
            fail_msg("taken: %s", unknown[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_validity),
        cmocka_unit_test(test_sources),
        cmocka_unit_test(test_clocks_travel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

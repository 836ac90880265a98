/* SPDX-License-Identifier: MIT */
/* Which tunnel a box is judged by, and from when on one that is offline counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "lib/base/strv.h"
#include "recovery-agent/main-way.h"

#define NOW (1000 * USEC_PER_SEC)
#define PATIENCE (60 * USEC_PER_SEC)

static CheckResult judge(MainWay *w, const char *device, const char *mgmt, Deployed deployed, bool had, usec_t now)
{
    _cleanup_(cJSON_Deletep) cJSON *result = cJSON_CreateObject();
    const MainWayInput in = {
        .result = result, .deployed = deployed, .had_device = had, .now = now, .up_since = 1, .patience = PATIENCE
    };

    assert_true(json_add_string(result, "device", device) == 0 && json_add_string(result, "mgmt", mgmt) == 0);
    return main_way_judge(w, &in);
}

/* A tunnel that has been offline for as long as it takes. */
static CheckResult judge_long(const char *device, const char *mgmt, Deployed deployed, bool had, MainWay *w)
{
    (void) judge(w, device, mgmt, deployed, had, NOW - PATIENCE);
    return judge(w, device, mgmt, deployed, had, NOW);
}

static void which_tunnel_counts(void **state)
{
    static const struct {
        const char *device, *mgmt;
        Deployed deployed;
        bool had;
        const char *way;
        CheckResult result;
    } cases[] = {
        { "ok", "ok", DEPLOYED_YES, true, "device", CHECK_GOOD },
        { "ok", "offline", DEPLOYED_NO, false, "device", CHECK_GOOD },
        { "silent", "ok", DEPLOYED_YES, true, "device", CHECK_BAD },
        { "offline", "ok", DEPLOYED_YES, false, "device", CHECK_BAD },
        { "offline", "ok", DEPLOYED_NO, true, "management", CHECK_GOOD },
        { "offline", "offline", DEPLOYED_NO, true, "management", CHECK_BAD },
        { "offline", "silent", DEPLOYED_NO, false, "management", CHECK_BAD },
        /* the box has just booted, or its agent is old */
        { "offline", "ok", DEPLOYED_UNKNOWN, true, "device", CHECK_BAD },
        { "offline", "ok", DEPLOYED_UNKNOWN, false, "management", CHECK_GOOD },
        { "offline", "offline", DEPLOYED_UNKNOWN, false, "management", CHECK_UNKNOWN },
        { "silent", "offline", DEPLOYED_UNKNOWN, false, "device", CHECK_BAD },
        /* a gateway that says something new, or nothing */
        { "of.tomorrow", "ok", DEPLOYED_YES, true, "device", CHECK_UNKNOWN },
        { NULL, NULL, DEPLOYED_YES, true, "device", CHECK_UNKNOWN },
        { NULL, NULL, DEPLOYED_NO, true, "management", CHECK_UNKNOWN },
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        MainWay w = {};
        CheckResult r = judge_long(cases[i].device, cases[i].mgmt, cases[i].deployed, cases[i].had, &w);

        if (r != cases[i].result || !str_equal(w.name, cases[i].way))
            fail_msg("case %zu: %d by %s", i, (int) r, w.name);
        assert_int_equal(w.silent, r == CHECK_BAD && !w.offline_since);
    }
}

static void offline_counts_after_a_while(void **state)
{
    MainWay w = {};

    (void) state;
    assert_int_equal(judge(&w, "offline", "ok", DEPLOYED_YES, true, NOW), CHECK_UNKNOWN);
    assert_int_equal(judge(&w, "offline", "ok", DEPLOYED_YES, true, NOW + PATIENCE - 1), CHECK_UNKNOWN);
    assert_int_equal(judge(&w, "offline", "ok", DEPLOYED_YES, true, NOW + PATIENCE), CHECK_BAD);
    /* it was back in between */
    assert_int_equal(judge(&w, "ok", "ok", DEPLOYED_YES, true, NOW + PATIENCE), CHECK_GOOD);
    assert_int_equal(judge(&w, "offline", "ok", DEPLOYED_YES, true, NOW + PATIENCE + 1), CHECK_UNKNOWN);
    assert_int_equal(judge(&w, "offline", "ok", DEPLOYED_YES, true, NOW + 2 * PATIENCE), CHECK_UNKNOWN);
    assert_int_equal(judge(&w, "offline", "ok", DEPLOYED_YES, true, NOW + 2 * PATIENCE + 1), CHECK_BAD);
}

/* Another tunnel has its own time. */
static void a_change_of_the_tunnel_starts_anew(void **state)
{
    MainWay w = {};

    (void) state;
    assert_int_equal(judge_long("offline", "offline", DEPLOYED_YES, true, &w), CHECK_BAD);
    assert_int_equal(judge(&w, "offline", "offline", DEPLOYED_NO, true, NOW + 1), CHECK_UNKNOWN);
    assert_int_equal(judge(&w, "offline", "offline", DEPLOYED_NO, true, NOW + 1 + PATIENCE), CHECK_BAD);
}

/* While ours was down, the gateway may have been away for all. */
static void our_own_tunnel_has_to_be_up_as_long(void **state)
{
    _cleanup_(cJSON_Deletep) cJSON *result = cJSON_Parse("{\"device\":\"offline\",\"mgmt\":\"ok\"}");
    MainWay w = { .name = "device", .offline_since = NOW - 10 * PATIENCE };
    MainWayInput in = { .result = result,
                        .deployed = DEPLOYED_YES,
                        .had_device = true,
                        .now = NOW,
                        .up_since = NOW - PATIENCE + 1,
                        .patience = PATIENCE };

    (void) state;
    assert_int_equal(main_way_judge(&w, &in), CHECK_UNKNOWN);
    in.now++;
    assert_int_equal(main_way_judge(&w, &in), CHECK_BAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(which_tunnel_counts),
        cmocka_unit_test(offline_counts_after_a_while),
        cmocka_unit_test(a_change_of_the_tunnel_starts_anew),
        cmocka_unit_test(our_own_tunnel_has_to_be_up_as_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

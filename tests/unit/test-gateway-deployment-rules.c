/* SPDX-License-Identifier: MIT */
/* What a box's words mean for its open deployment. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/deployments/deployment-rules.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"

#define MINUTE USEC_PER_MINUTE

static cJSON *parse(const char *text)
{
    cJSON *o = cJSON_Parse(text);
    assert_non_null(o);
    return o;
}

static Deployment stored(void)
{
    Deployment d = { .id = "d1", .nonce = "n1", .version = 7, .confirm_deadline = 300, .barred_connection = 3 };
    return d;
}

static StatusVerdict read_status(const Deployment *d, uint64_t connection, const char *status)
{
    _cleanup_(cJSON_Deletep) cJSON *o = parse(status);
    return deployment_read_status(d, connection, o);
}

static void test_what_a_status_says(void **state _unused_)
{
    static const char elsewhere[] = "{\"pending\":{\"id\":\"d0\"},\"last\":{\"id\":\"d0\",\"outcome\":\"done\"}}";
    Deployment d = stored();
    static const struct {
        const char *status;
        StatusVerdict verdict;
    } cases[] = {
        { "{\"pending\":{\"id\":\"d1\",\"phase\":\"pull\"}}", STATUS_PENDING },
        { "{\"pending\":{\"id\":\"d1\"},\"last\":{\"id\":\"d1\",\"outcome\":\"done\"}}", STATUS_PENDING },
        { "{\"pending\":null,\"last\":{\"id\":\"d1\",\"outcome\":\"failed\"}}", STATUS_ENDED },
        { "{\"last\":{\"id\":\"d1\"}}", STATUS_NEVER_ARRIVED },
        { "{\"current\":{\"id\":\"d1\",\"outcome\":\"done\"}}", STATUS_NEVER_ARRIVED },
        { "{\"pending\":\"d1\",\"last\":7}", STATUS_NEVER_ARRIVED },
        { elsewhere, STATUS_NEVER_ARRIVED },
        { "{}", STATUS_NEVER_ARRIVED },
    };
    for (size_t i = 0; i < ELEMENTSOF(cases); i++)
        assert_int_equal(read_status(&d, 4, cases[i].status), cases[i].verdict);

    /* the message may still be under way on the connection that it was sent by */
    assert_int_equal(read_status(&d, 3, elsewhere), STATUS_NOTHING);
    d.progressed = true;
    assert_int_equal(read_status(&d, 4, elsewhere), STATUS_NOTHING);
}

static void test_when_a_status_says_nothing(void **state _unused_)
{
    static const char pending[] = "{\"pending\":{\"id\":\"d1\"}}";
    _cleanup_(cJSON_Deletep) cJSON *result = parse("{}");
    Deployment d = stored();
    d.version = 0;
    assert_int_equal(read_status(&d, 4, pending), STATUS_NOTHING);
    d = stored();
    d.result = result;
    assert_int_equal(read_status(&d, 4, pending), STATUS_NOTHING);
}

static void test_what_is_confirmed(void **state _unused_)
{
    const Deployment d = stored();
    static const struct {
        const char *pending;
        uint64_t connection;
        ConfirmVerdict verdict;
    } cases[] = {
        { "{\"phase\":\"confirm\",\"nonce\":\"n1\"}", 4, CONFIRM_NOW },
        { "{\"phase\":\"confirm\",\"nonce\":\"n1\"}", 3, CONFIRM_OLD_CONNECTION },
        { "{\"phase\":\"confirm\",\"nonce\":\"n2\"}", 4, CONFIRM_WRONG_NONCE },
        { "{\"phase\":\"confirm\",\"nonce\":\"\"}", 4, CONFIRM_WRONG_NONCE },
        { "{\"phase\":\"confirm\"}", 4, CONFIRM_WRONG_NONCE },
        { "{\"phase\":\"prove\",\"nonce\":\"n1\"}", 4, CONFIRM_NOT_ASKED },
        { "{\"nonce\":\"n1\"}", 4, CONFIRM_NOT_ASKED },
    };
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(cJSON_Deletep) cJSON *pending = parse(cases[i].pending);
        assert_int_equal(deployment_judge_pending(&d, cases[i].connection, pending), cases[i].verdict);
    }
}

static void test_what_is_sent_again(void **state _unused_)
{
    char rollout[] = "r1";
    Deployment d = stored();
    d.created_at = 10 * MINUTE;
    assert_int_equal(deployment_judge_retry(&d, 10 * MINUTE, false), RETRY_NOW);
    assert_int_equal(deployment_judge_retry(&d, 15 * MINUTE - 1, false), RETRY_NOW);
    assert_int_equal(deployment_judge_retry(&d, 15 * MINUTE, false), RETRY_NOT);
    d.rollout = rollout;
    assert_int_equal(deployment_judge_retry(&d, 10 * MINUTE, false), RETRY_END);
    assert_int_equal(deployment_judge_retry(&d, 10000 * MINUTE, true), RETRY_NOW);
}

static void test_silence(void **state _unused_)
{
    Deployment d = stored();
    d.last_word = 10 * MINUTE;
    assert_false(deployment_is_silent(&d, 10 * MINUTE));
    assert_false(deployment_is_silent(&d, 45 * MINUTE));
    assert_true(deployment_is_silent(&d, 45 * MINUTE + 1));
    /* taken over by a machine that has been up for a shorter time than the box was silent */
    d.last_word = MINUTE - 40 * MINUTE;
    assert_true(deployment_is_silent(&d, MINUTE));
    d.last_word = MINUTE - 30 * MINUTE;
    assert_false(deployment_is_silent(&d, MINUTE));
    /* as long as a box may take for one step, and no longer */
    d.kind = DEPLOYMENT_AGENT;
    d.last_word = 0;
    assert_false(deployment_is_silent(&d, 155 * MINUTE));
    assert_true(deployment_is_silent(&d, 155 * MINUTE + 1));
}

static void test_how_it_ends(void **state _unused_)
{
    static const struct {
        const char *result, *ended;
        unsigned status;
    } cases[] = {
        { "{\"outcome\":\"done\",\"status\":200}", "done", 200 },
        { "{\"outcome\":\"rolled-back\",\"status\":500}", "rolled-back", 500 },
        { "{\"outcome\":\"recovery\",\"status\":599}", "recovery", 599 },
        { "{\"outcome\":\"unknown\",\"status\":504}", "unknown", 504 },
        { "{\"outcome\":\"failed\",\"status\":422}", "failed", 422 },
        { "{\"outcome\":\"open\",\"status\":199}", "failed", 500 },
        { "{\"outcome\":7,\"status\":600}", "failed", 500 },
        { "{\"status\":-200}", "failed", 500 },
        { "{}", "failed", 500 },
    };
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(cJSON_Deletep) cJSON *result = parse(cases[i].result);
        assert_string_equal(deployment_end_state(result), cases[i].ended);
        assert_int_equal(deployment_end_status(result), cases[i].status);
    }
}

static void check_text(cJSON *taken, const char *text)
{
    _cleanup_(cJSON_Deletep) cJSON *o = taken;
    _cleanup_(freep) char *written = o ? json_print(o) : NULL;
    assert_non_null(written);
    assert_string_equal(written, text);
}

static void test_what_is_kept(void **state _unused_)
{
    _cleanup_(cJSON_Deletep) cJSON *progress = parse("{\"type\":\"compose.progress\",\"id\":\"d1\",\"version\":\"7\","
                                                     "\"seq\":\"12\",\"phase\":\"pull\",\"x\":{\"y\":1}}");
    check_text(deployment_event(progress, 12), "{\"phase\":\"pull\",\"x\":{\"y\":1},\"seq\":12}");

    _cleanup_(cJSON_Deletep) cJSON *good = parse("{\"type\":\"compose.result\",\"id\":\"d1\",\"version\":\"local-1\","
                                                 "\"outcome\":\"done\",\"log\":\"long\",\"noop\":true}");
    check_text(deployment_local_detail(good),
               "{\"id\":\"d1\",\"version\":\"local-1\",\"outcome\":\"done\",\"noop\":true}");

    _cleanup_(cJSON_Deletep) cJSON *bad = parse("{\"outcome\":\"failed\",\"status\":500,\"error\":"
                                                "{\"id\":\"a.b\",\"message\":\"m\",\"log\":\"long\"}}");
    check_text(deployment_local_detail(bad),
               "{\"outcome\":\"failed\",\"status\":500,\"error\":{\"id\":\"a.b\",\"message\":\"m\"}}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_a_status_says),
        cmocka_unit_test(test_when_a_status_says_nothing),
        cmocka_unit_test(test_what_is_confirmed),
        cmocka_unit_test(test_what_is_sent_again),
        cmocka_unit_test(test_silence),
        cmocka_unit_test(test_how_it_ends),
        cmocka_unit_test(test_what_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

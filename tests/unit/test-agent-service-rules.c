/* SPDX-License-Identifier: MIT */
/* When a deployed service counts as not well, and what is done about it, on clocks of our own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/mem.h"
#include "mgmt-agent/agent/service-rules.h"

#define S USEC_PER_SEC
#define WALL (1800000000 * S)

static const ServiceTimes times = {
    .settle = 3 * S, .patience = 60 * S, .loop_window = 300 * S, .well_after = 60 * S, .unit = S
};
static const ServiceFacts well = { .status = "running", .alive = true, .policy = RESTART_ALWAYS };
static const ServiceFacts created = { .status = "created", .policy = RESTART_ALWAYS };

typedef struct Service {
    ServiceRecord r;
    usec_t now;
} Service;

static Service new_service(void)
{
    return (Service) { .r = { .state = SERVICE_RUNNING, .seen = SERVICE_RUNNING }, .now = 1000 * S };
}

static bool look(Service *s, const ServiceFacts *f)
{
    return service_note(&s->r, &times, f, s->now, WALL + s->now);
}

/* Looks and tries as the agent does for so long; writes the steps as "start@0 …" seconds after the beginning. */
static void play(Service *s, const ServiceFacts *f, unsigned seconds, char *steps, size_t size)
{
    static const char *const names[] = { "", "start", "restart", "recreate" };
    usec_t begin = s->now, again;
    size_t len = 0;

    steps[0] = '\0';
    for (; s->now < begin + seconds * S; s->now += S) {
        (void) look(s, f);
        ServiceStep step = service_next(&s->r, &times, s->now, &again);

        if (step == SERVICE_STEP_NONE)
            continue;
        service_took(&s->r, &times, step, s->now);
        len += (size_t) snprintf(steps + len, size - len, "%s%s@%u", len > 0 ? " " : "", names[step],
                                 (unsigned) ((s->now - begin) / S));
    }
}

static ServiceState ended(RestartPolicy policy, int code, unsigned restarts, unsigned max)
{
    return service_judge(&(ServiceFacts) {
        .status = "exited", .policy = policy, .exit_code = code, .restarts = restarts, .max_retries = max });
}

static void test_what_podman_says(void **state)
{
    (void) state;
    assert_int_equal(service_judge(&well), SERVICE_RUNNING);
    assert_int_equal(service_judge(&created), SERVICE_DOWN);
    assert_int_equal(service_judge(&(ServiceFacts) { .status = "running", .alive = false }), SERVICE_DOWN);
    assert_int_equal(service_judge(&(ServiceFacts) { .status = "running", .alive = true, .health = "unhealthy" }),
                     SERVICE_UNHEALTHY);
    assert_int_equal(service_judge(&(ServiceFacts) { .status = "running", .alive = true, .health = "starting" }),
                     SERVICE_RUNNING);
    assert_int_equal(service_judge(&(ServiceFacts) { .status = NULL }), SERVICE_BY_HAND);
    assert_int_equal(service_judge(&(ServiceFacts) { .status = "paused", .alive = true }), SERVICE_BY_HAND);
    assert_int_equal(service_judge(&(ServiceFacts) { .status = "stopping", .alive = true }), SERVICE_UNKNOWN);
    assert_int_equal(service_judge(&(ServiceFacts) { .status = "stopping" }), SERVICE_DOWN);
    /* podman would have restarted it */
    assert_int_equal(ended(RESTART_ALWAYS, 0, 0, 0), SERVICE_BY_HAND);
    assert_int_equal(ended(RESTART_ALWAYS, 1, 7, 0), SERVICE_BY_HAND);
    assert_int_equal(ended(RESTART_ON_FAILURE, 1, 0, 0), SERVICE_BY_HAND);
    assert_int_equal(ended(RESTART_ON_FAILURE, 143, 1, 3), SERVICE_BY_HAND);
    assert_int_equal(ended(RESTART_ON_FAILURE, 1, 3, 3), SERVICE_DOWN);
    assert_int_equal(ended(RESTART_ON_FAILURE, 0, 0, 3), SERVICE_ENDED);
    assert_int_equal(ended(RESTART_NO, 0, 0, 0), SERVICE_ENDED);
    assert_int_equal(ended(RESTART_NO, 1, 0, 0), SERVICE_DOWN);
    assert_int_equal(ended(RESTART_NO, 143, 0, 0), SERVICE_BY_HAND);
    assert_int_equal(ended(RESTART_NO, 137, 0, 0), SERVICE_BY_HAND);
    ServiceFacts f = { .status = "exited", .policy = RESTART_NO, .exit_code = 137, .out_of_memory = true };
    assert_int_equal(service_judge(&f), SERVICE_DOWN);
    f = (ServiceFacts) { .status = "exited", .policy = RESTART_ALWAYS, .restart_failed = true };
    assert_int_equal(service_judge(&f), SERVICE_DOWN);
    f.stopped_by_user = true;
    assert_int_equal(service_judge(&f), SERVICE_BY_HAND);
}

static void test_policies(void **state)
{
    (void) state;
    assert_int_equal(service_policy_from_string("always"), RESTART_ALWAYS);
    assert_int_equal(service_policy_from_string("unless-stopped"), RESTART_ALWAYS);
    assert_int_equal(service_policy_from_string("on-failure:3"), RESTART_ON_FAILURE);
    assert_int_equal(service_policy_from_string("no"), RESTART_NO);
    assert_int_equal(service_policy_from_string(NULL), RESTART_NO);
    for (ServiceState s = SERVICE_UNKNOWN; s < _SERVICE_STATES; s++)
        assert_int_equal(service_state_from_string(service_state_to_string(s)), s);
    assert_int_equal(service_state_from_string("nonsense"), SERVICE_UNKNOWN);
}

static void test_podman_gets_its_moment(void **state)
{
    Service s = new_service();
    usec_t again;

    (void) state;
    assert_false(look(&s, &created));
    assert_int_equal(s.r.state, SERVICE_RUNNING);
    assert_int_equal(service_next(&s.r, &times, s.now, &again), SERVICE_STEP_NONE);
    assert_int_equal(again, s.now + 3 * S);
    s.now += 2 * S;
    assert_false(look(&s, &well));
    assert_false(service_in_trouble(&s.r));
    assert_false(look(&s, &created));
    s.now += 3 * S;
    assert_true(look(&s, &created));
    assert_true(service_in_trouble(&s.r));
    assert_int_equal(service_next(&s.r, &times, s.now, &again), SERVICE_STEP_START);
}

static void test_less_and_less_often_and_anew_once(void **state)
{
    Service s = new_service();
    char steps[512];

    (void) state;
    play(&s, &created, 12000, steps, sizeof(steps));
    assert_string_equal(steps, "start@3 start@13 recreate@73 start@373 start@1273 start@4873 start@8473");
    assert_int_equal(s.r.trouble, SERVICE_DOWN);
    assert_int_equal(s.r.restarts, 7);
}

static void test_unhealthy(void **state)
{
    const ServiceFacts f = { .status = "running", .alive = true, .health = "unhealthy", .policy = RESTART_ALWAYS };
    Service s = new_service();
    char steps[512];

    (void) state;
    play(&s, &f, 1500, steps, sizeof(steps));
    assert_string_equal(steps, "restart@60 restart@70 recreate@130 restart@430 restart@1330");
}

/* Nothing inside of it is wrong: it gets a fresh start twice, at once, and is told as long as it lasts. */
static void test_cut_off(void **state)
{
    const ServiceFacts f = { .status = "running", .alive = true, .cut_off = true, .policy = RESTART_ALWAYS };
    const ServiceFacts ill = {
        .status = "running", .alive = true, .cut_off = true, .health = "unhealthy", .policy = RESTART_ALWAYS
    };
    Service s = new_service();
    char steps[512];

    (void) state;
    assert_int_equal(service_judge(&f), SERVICE_UNHEALTHY);
    assert_int_equal(service_judge(&(ServiceFacts) { .status = "exited", .exit_code = 1, .cut_off = true }),
                     SERVICE_DOWN);
    play(&s, &f, 5000, steps, sizeof(steps));
    assert_string_equal(steps, "restart@0 restart@10");
    assert_true(service_in_trouble(&s.r));
    assert_int_equal(s.r.trouble, SERVICE_UNHEALTHY);
    play(&s, &well, 61, steps, sizeof(steps));
    assert_string_equal(steps, "");
    assert_false(service_in_trouble(&s.r));
    /* a new one has tries of its own */
    play(&s, &f, 5, steps, sizeof(steps));
    assert_string_equal(steps, "restart@0");
    /* where its health check fails, too, there is more to it */
    s = new_service();
    play(&s, &ill, 200, steps, sizeof(steps));
    assert_string_equal(steps, "restart@60 restart@70 recreate@130");
}

static void test_a_policy_that_leaves_it(void **state)
{
    const ServiceFacts f = { .status = "exited", .exit_code = 3, .policy = RESTART_NO };
    const ServiceFacts lost = { .status = "created", .policy = RESTART_NO };
    Service s = new_service();
    char steps[512];

    (void) state;
    play(&s, &f, 10000, steps, sizeof(steps));
    assert_string_equal(steps, "");
    assert_true(service_in_trouble(&s.r));
    /* but it did not end by itself where the user's manager was stopped */
    s = new_service();
    play(&s, &lost, 5, steps, sizeof(steps));
    assert_string_equal(steps, "start@3");
    /* podman 4.3 does not start again what has lost its monitor */
    s = new_service();
    play(&s, &(ServiceFacts) { .status = "running", .policy = RESTART_NO }, 30, steps, sizeof(steps));
    assert_string_equal(steps, "recreate@3 start@13");
}

static void test_a_loop(void **state)
{
    ServiceFacts f = well;
    Service s = new_service();
    char steps[512];
    usec_t again;

    (void) state;
    /* two restarts are no loop, nor are three that are far apart */
    for (f.restarts = 1; f.restarts <= 2; f.restarts++, s.now += 5 * S)
        (void) look(&s, &f);
    assert_int_equal(s.r.state, SERVICE_RUNNING);
    s.now += 400 * S;
    f.restarts = 3;
    (void) look(&s, &f);
    assert_int_equal(s.r.state, SERVICE_RUNNING);
    f.restarts = 5;
    assert_true(look(&s, &f));
    assert_int_equal(s.r.trouble, SERVICE_LOOPING);
    assert_int_equal(s.r.restarts, 3);
    play(&s, &f, 100, steps, sizeof(steps));
    assert_string_equal(steps, "recreate@60");
    /* well again: the window is over, and then it ran well for a while */
    (void) service_next(&s.r, &times, s.now, &again);
    assert_true(again > s.now && again <= s.now + 300 * S);
    for (unsigned i = 0; i < 300 && s.r.state == SERVICE_LOOPING; i++, s.now += S)
        (void) look(&s, &f);
    assert_true(service_in_trouble(&s.r));
    s.now += 60 * S;
    assert_true(look(&s, &f));
    assert_false(service_in_trouble(&s.r));
    assert_true(s.r.trouble_until > s.r.trouble_since);
    assert_int_equal(service_next(&s.r, &times, s.now, &again), SERVICE_STEP_NONE);
    assert_true(again == USEC_INFINITY);
}

static void test_a_first_look_counts_one(void **state)
{
    ServiceFacts f = well;
    Service s = new_service();

    (void) state;
    f.restarts = 40; /* of last month */
    (void) look(&s, &f);
    assert_int_equal(s.r.state, SERVICE_RUNNING);
    f.restarts = 0; /* podman restart, typed by a person */
    (void) look(&s, &f);
    f.restarts = 1;
    (void) look(&s, &f);
    assert_int_equal(s.r.state, SERVICE_RUNNING);
    f.restarts = 2;
    assert_true(look(&s, &f));
    assert_int_equal(s.r.state, SERVICE_LOOPING);
    /* another container has a past of its own */
    service_renew(&s.r, true);
    f.restarts = 0;
    (void) look(&s, &f);
    assert_int_equal(s.r.seen, SERVICE_RUNNING);
}

static void test_by_hand(void **state)
{
    const ServiceFacts stopped = { .status = "exited", .exit_code = 143, .policy = RESTART_ALWAYS };
    const ServiceFacts gone = { .status = NULL, .policy = RESTART_ALWAYS };
    Service s = new_service();
    usec_t again;

    (void) state;
    assert_true(look(&s, &stopped));
    assert_int_equal(s.r.state, SERVICE_BY_HAND);
    assert_false(service_in_trouble(&s.r));
    assert_int_equal(service_next(&s.r, &times, s.now, &again), SERVICE_STEP_NONE);
    assert_true(again == USEC_INFINITY);
    assert_false(look(&s, &gone));
    assert_true(look(&s, &well));
    /* what is down and could not be started was not stopped by anybody */
    (void) look(&s, &created);
    s.now += 3 * S;
    (void) look(&s, &created);
    assert_int_equal(s.r.state, SERVICE_DOWN);
    (void) look(&s, &stopped);
    assert_int_equal(s.r.state, SERVICE_DOWN);
    /* a person who stops it in the middle of its trouble ends that */
    (void) look(&s, &well);
    assert_true(look(&s, &stopped));
    assert_int_equal(s.r.state, SERVICE_BY_HAND);
    assert_false(service_in_trouble(&s.r));
}

static void test_stopped_and_forgotten(void **state)
{
    const ServiceFacts stopped = { .status = "exited", .exit_code = 143, .policy = RESTART_ALWAYS };
    ServiceTimes with_alarm = times;
    Service s = new_service();
    usec_t again, stop = WALL + s.now;

    (void) state;
    with_alarm.stop_alarm = 1000 * S;
    assert_true(service_note(&s.r, &with_alarm, &stopped, s.now, WALL + s.now));
    assert_int_equal(service_next(&s.r, &with_alarm, s.now, &again), SERVICE_STEP_NONE);
    assert_true(again == s.now + 1000 * S);
    s.now += 999 * S;
    assert_false(service_note(&s.r, &with_alarm, &stopped, s.now, WALL + s.now));
    assert_false(service_in_trouble(&s.r));
    s.now += S;
    assert_true(service_note(&s.r, &with_alarm, &stopped, s.now, WALL + s.now));
    assert_true(service_in_trouble(&s.r));
    assert_int_equal(s.r.trouble, SERVICE_BY_HAND);
    assert_int_equal(s.r.trouble_since, stop);
    assert_int_equal(s.r.state, SERVICE_BY_HAND);
    /* it is told, and nothing else: who stopped it has the last word */
    s.now += 100000 * S;
    assert_false(service_note(&s.r, &with_alarm, &stopped, s.now, WALL + s.now));
    assert_int_equal(service_next(&s.r, &with_alarm, s.now, &again), SERVICE_STEP_NONE);
    assert_true(again == USEC_INFINITY);
    /* over when it runs again, for a while */
    assert_true(service_note(&s.r, &with_alarm, &well, s.now, WALL + s.now));
    assert_true(service_in_trouble(&s.r));
    s.now += 60 * S;
    assert_true(service_note(&s.r, &with_alarm, &well, s.now, WALL + s.now));
    assert_int_equal(s.r.trouble_until, WALL + s.now);
    /* stopped once more it is another alarm; and who wants no alarms any more ends it */
    s.now += S;
    stop = WALL + s.now;
    assert_true(service_note(&s.r, &with_alarm, &stopped, s.now, WALL + s.now));
    assert_false(service_in_trouble(&s.r));
    s.now += 1000 * S;
    assert_true(service_note(&s.r, &with_alarm, &stopped, s.now, WALL + s.now));
    assert_int_equal(s.r.trouble_since, stop);
    assert_true(look(&s, &stopped));
    assert_false(service_in_trouble(&s.r));
    assert_int_equal(s.r.state, SERVICE_BY_HAND);
}

static void test_stopped_before_the_agent_was(void **state)
{
    ServiceTimes with_alarm = times;
    Service s = new_service();
    usec_t again;

    (void) state;
    with_alarm.stop_alarm = 5000 * S;
    s.r.state = s.r.seen = SERVICE_BY_HAND;
    s.r.shown_at = s.now - 4000 * S; /* before the boot */
    assert_int_equal(service_next(&s.r, &with_alarm, s.now, &again), SERVICE_STEP_NONE);
    assert_true(again == s.now + 1000 * S);
    s.r.shown_at = s.now - 6000 * S;
    (void) service_next(&s.r, &with_alarm, s.now, &again);
    assert_true(again == s.now);
}

static void test_podman_does_not_answer(void **state)
{
    const ServiceFacts stopped = { .status = "exited", .exit_code = 143, .policy = RESTART_ALWAYS };
    const ServiceFacts guess = { .status = "created", .guessed = true, .policy = RESTART_ALWAYS };
    Service s = new_service();
    char steps[64];

    (void) state;
    assert_true(look(&s, &stopped));
    play(&s, &guess, 100, steps, sizeof(steps));
    assert_string_equal(steps, "");
    assert_int_equal(s.r.state, SERVICE_BY_HAND);
    assert_false(look(&s, &stopped));
    assert_int_equal(s.r.trouble, SERVICE_UNKNOWN);
    /* what ran until then is down */
    s = new_service();
    play(&s, &guess, 5, steps, sizeof(steps));
    assert_string_equal(steps, "start@3");
}

static void test_a_stop_with_a_long_grace(void **state)
{
    const ServiceFacts asked = { .status = "stopping", .alive = true, .policy = RESTART_ALWAYS };
    const ServiceFacts dead = { .status = "stopping", .policy = RESTART_ALWAYS };
    const ServiceFacts cleared = { .status = "exited", .exit_code = 137, .policy = RESTART_ALWAYS };
    Service s = new_service();
    char steps[64];
    usec_t again;

    (void) state;
    play(&s, &asked, 900, steps, sizeof(steps));
    assert_string_equal(steps, "");
    play(&s, &dead, 20, steps, sizeof(steps));
    assert_string_equal(steps, "");
    assert_int_equal(service_next(&s.r, &times, s.now, &again), SERVICE_STEP_NONE);
    assert_true(again <= s.now + 3 * S);
    assert_true(look(&s, &cleared));
    assert_int_equal(s.r.state, SERVICE_BY_HAND);
    assert_int_equal(s.r.trouble, SERVICE_UNKNOWN);
    /* once more, and nobody is left who would clear up */
    assert_true(look(&s, &well));
    play(&s, &asked, 900, steps, sizeof(steps));
    play(&s, &dead, 70, steps, sizeof(steps));
    assert_string_equal(steps, "recreate@63");
    assert_int_equal(s.r.trouble, SERVICE_DOWN);
}

static void test_removed(void **state)
{
    Service s = new_service();

    (void) state;
    (void) look(&s, &created);
    s.now += 3 * S;
    (void) look(&s, &created);
    assert_true(service_in_trouble(&s.r));
    service_remove(&s.r, 4711);
    assert_int_equal(s.r.state, SERVICE_REMOVED);
    assert_false(service_in_trouble(&s.r));
    assert_int_equal(s.r.trouble, SERVICE_DOWN);
    assert_int_equal(s.r.trouble_until, 4711);
    /* one that was well has had no trouble */
    s = new_service();
    service_remove(&s.r, 4711);
    assert_int_equal(s.r.trouble_until, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_podman_says),
        cmocka_unit_test(test_policies),
        cmocka_unit_test(test_podman_gets_its_moment),
        cmocka_unit_test(test_less_and_less_often_and_anew_once),
        cmocka_unit_test(test_unhealthy),
        cmocka_unit_test(test_cut_off),
        cmocka_unit_test(test_a_policy_that_leaves_it),
        cmocka_unit_test(test_a_loop),
        cmocka_unit_test(test_a_first_look_counts_one),
        cmocka_unit_test(test_by_hand),
        cmocka_unit_test(test_stopped_and_forgotten),
        cmocka_unit_test(test_stopped_before_the_agent_was),
        cmocka_unit_test(test_podman_does_not_answer),
        cmocka_unit_test(test_a_stop_with_a_long_grace),
        cmocka_unit_test(test_removed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* What an inspection proves of a container, by what it is called healthy, and whose fault a failed update is. */
#include "tests/unit/compose-project.h"

#include <errno.h>

#include "mgmt-agent/state/failure-kind.h"
#include "mgmt-agent/worker/phases/container-health.h"
#include "mgmt-agent/worker/phases/container-state.h"
#include "mgmt-agent/worker/phases/update-failure.h"

static cJSON *json_of(const char *text)
{
    cJSON *o = cJSON_Parse(text);

    assert_non_null(o);
    return o;
}

static void what_a_state_proves(void **state _unused_)
{
    static const struct {
        const char *restart, *info, *id;
        ContainerState state;
    } cases[] = {
        { "no", "{\"State\":{\"Status\":\"running\"},\"RestartCount\":0}", NULL, CONTAINER_RUNNING },
        { "no", "{\"State\":{\"Status\":\"running\"},\"RestartCount\":1}", "prove.restarts", 0 },
        { "no", "{\"State\":{\"Status\":\"exited\",\"ExitCode\":0}}", NULL, CONTAINER_COMPLETED },
        { "on-failure", "{\"State\":{\"Status\":\"exited\",\"ExitCode\":0}}", NULL, CONTAINER_COMPLETED },
        { "on-failure:3", "{\"State\":{\"Status\":\"exited\",\"ExitCode\":0}}", NULL, CONTAINER_COMPLETED },
        { "no", "{\"State\":{\"Status\":\"exited\",\"ExitCode\":1}}", "prove.died", 0 },
        /* it is to be there for good: that it ended well is no success */
        { "always", "{\"State\":{\"Status\":\"exited\",\"ExitCode\":0}}", "prove.died", 0 },
        { "unless-stopped", "{\"State\":{\"Status\":\"exited\",\"ExitCode\":0}}", "prove.died", 0 },
        { "no", "{\"State\":{\"Status\":\"created\"}}", "prove.not-running", 0 },
        { "no", "{\"State\":{\"Status\":\"paused\"}}", "prove.not-running", 0 },
        { "no", "{\"State\":{\"Status\":\"exited\"}}", "prove.not-running", 0 },
        { "no", "{}", "prove.not-running", 0 },
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        const ComposeService s = { .restart = (char *) cases[i].restart };
        _cleanup_(cJSON_Deletep) cJSON *info = json_of(cases[i].info);
        _cleanup_(error_done) Error err = {};
        ContainerState got = CONTAINER_RUNNING;
        int r = container_state_check(&s, info, &got, &err);

        if ((r < 0) != (cases[i].id != NULL) || (r < 0 && !str_equal(error_id(&err), cases[i].id)) ||
            (r == 0 && got != cases[i].state))
            fail_msg("case %zu: %d, %s", i, r, error_message(&err, r));
    }
}

#define IMAGE_CHECK                                                                                                    \
    "{\"Config\":{\"Healthcheck\":{\"Test\":[\"CMD-SHELL\",\"image\"],\"Interval\":5000000000,\"Timeout\":2000000000," \
    "\"StartPeriod\":1000000000,\"Retries\":9}}}"

static ContainerHealth health_of(const char *compose, const char *info)
{
    _cleanup_(cJSON_Deletep) cJSON *check = compose ? json_of(compose) : NULL, *inspected = json_of(info);
    const ComposeService s = { .healthcheck = check };

    return container_health(&s, inspected);
}

static void no_check_is_no_health(void **state _unused_)
{
    static const char *const infos[] = { "{}", "{\"Config\":{\"Healthcheck\":{\"Test\":[\"NONE\"]}}}",
                                         "{\"Config\":{\"Healthcheck\":{\"Test\":[]}}}" };

    for (size_t i = 0; i < ELEMENTSOF(infos); i++) {
        _cleanup_(container_health_done) ContainerHealth h = health_of(NULL, infos[i]);

        assert_false(h.exists);
        assert_null(h.argv);
    }
}

/* Podman runs it, and says its times in nanoseconds. */
static void the_images_own_check(void **state _unused_)
{
    _cleanup_(container_health_done) ContainerHealth h = health_of(NULL, IMAGE_CHECK);

    assert_true(h.exists);
    assert_null(h.argv);
    assert_int_equal(h.rules.interval, 5 * USEC_PER_SEC);
    assert_int_equal(h.rules.timeout, 2 * USEC_PER_SEC);
    assert_int_equal(h.rules.start_period, USEC_PER_SEC);
    assert_int_equal(h.rules.retries, 9);
}

static void the_files_check_comes_first(void **state _unused_)
{
    _cleanup_(container_health_done) ContainerHealth h =
        health_of("{\"test\":[\"CMD\",\"a\",\"b c\"],\"interval_usec\":7000000}", IMAGE_CHECK);
    _cleanup_(container_health_done) ContainerHealth shell =
        health_of("{\"test\":[\"CMD-SHELL\",\"a && b\"],\"retries\":2}", "{}");
    _cleanup_(freep) char *argv = json_print(h.argv), *shell_argv = json_print(shell.argv);

    assert_true(h.exists && shell.exists);
    assert_string_equal(argv, "[\"a\",\"b c\"]");
    assert_string_equal(shell_argv, "[\"/bin/sh\",\"-c\",\"a && b\"]");
    /* nothing of the image's times: the defaults of compose */
    assert_int_equal(h.rules.interval, 7 * USEC_PER_SEC);
    assert_int_equal(h.rules.timeout, 30 * USEC_PER_SEC);
    assert_int_equal(h.rules.start_period, 0);
    assert_int_equal(h.rules.retries, 3);
    assert_int_equal(shell.rules.interval, 30 * USEC_PER_SEC);
    assert_int_equal(shell.rules.retries, 2);
}

static void the_file_can_switch_the_images_check_off(void **state _unused_)
{
    static const char *const off[] = { "{\"disable\":true}", "{\"test\":[\"NONE\"]}" };

    for (size_t i = 0; i < ELEMENTSOF(off); i++) {
        _cleanup_(container_health_done) ContainerHealth h = health_of(off[i], IMAGE_CHECK);

        assert_false(h.exists);
    }
}

/* That a disk was full says nothing against an image; only an update remembers at all. */
static void whose_fault_it_is(void **state _unused_)
{
    static const struct {
        const char *kind, *id;
        bool to_blame;
        const char *service; /* that failed */
    } cases[] = {
        { KIND_UPDATE, "prove.died", true, "web" },
        { KIND_UPDATE, "prove.died", true, "behind-web" },
        { KIND_UPDATE, "prove.not-running", false, "db" }, /* V01 */
        { KIND_UPDATE, "prove.died", true, NULL },
        { KIND_UPDATE, "apply.not-started", true, NULL },
        { KIND_UPDATE, "update.hook", true, NULL },
        { KIND_UPDATE, "prove.restarts", true, NULL },
        { KIND_UPDATE, "confirm.deadline", true, NULL },
        { KIND_UPDATE, "pull.no-space", false, NULL },
        { KIND_UPDATE, "podman.timeout", false, NULL },
        { KIND_UPDATE, "deploy.interrupted", false, NULL },
        { KIND_UPDATE, NULL, false, NULL },
        { NULL, "prove.died", false, NULL },
        { KIND_RECREATE, "prove.died", false, NULL },
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        JournalFailure failure = { .id = (char *) cases[i].id, .key = (char *) cases[i].service };
        ImageUpdate update = { .service = "web" };
        JournalStep steps[] = { { .service = "web" }, { .service = "behind-web" } };
        const Journal j = { .kind = (char *) cases[i].kind,
                            .failure = cases[i].id ? &failure : NULL,
                            .updates = &update,
                            .n_updates = 1,
                            .steps = steps,
                            .n_steps = ELEMENTSOF(steps) };

        if (update_is_to_blame(&j) != cases[i].to_blame)
            fail_msg("%s, %s, %s", cases[i].kind ? cases[i].kind : "push", cases[i].id ? cases[i].id : "no failure",
                     cases[i].service ? cases[i].service : "nobody");
    }
}

/* Two images are updated at once, and a service that shares what one of them has fails: the other one is not to blame. */
static void whose_guest_it_is(void **state _unused_)
{
    static const struct {
        const char *failed;
        bool web, api;
    } cases[] = {
        { "web", true, false }, { "guest", true, false }, { "last", true, false },
        { "api", false, true }, { "both", true, true },   { "db", false, false },
    };
    ImageUpdate updates[] = { { .service = "web" }, { .service = "api" } };
    JournalStep steps[] = { { .service = "web" },
                            { .service = "api" },
                            { .service = "guest", .with = "web" },
                            { .service = "last", .with = "guest" },
                            { .service = "both" } };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        JournalFailure failure = { .id = "prove.died", .key = (char *) cases[i].failed };
        const Journal j = { .kind = KIND_UPDATE,
                            .failure = &failure,
                            .updates = updates,
                            .n_updates = ELEMENTSOF(updates),
                            .steps = steps,
                            .n_steps = ELEMENTSOF(steps) };

        if (update_is_the_one(&j, &updates[0]) != cases[i].web || update_is_the_one(&j, &updates[1]) != cases[i].api)
            fail_msg("%s", cases[i].failed);
    }
}

/* The history of an older agent is read with the same table. */
static void what_is_not_of_this_box(void **state _unused_)
{
    assert_int_equal(failure_kind("update.not-here"), FAILURE_NOT_HERE);
    assert_int_equal(failure_kind("update.not-here-either"), FAILURE_OTHER);
    assert_int_equal(failure_kind("proved.something"), FAILURE_OTHER);
    assert_int_equal(failure_kind(""), FAILURE_OTHER);
    assert_int_equal(failure_kind(NULL), FAILURE_OTHER);
}

static void what_just_comes_again(void **state _unused_)
{
    static const struct {
        const char *kind, *id;
        bool from_cloud, put_off;
    } cases[] = {
        { KIND_UPDATE, "update.not-now", false, true },
        { KIND_UPDATE, "update.locked", false, true },
        { KIND_UPDATE, "update.too-young", false, true },
        { KIND_UPDATE, "update.failed-before", false, true },
        { KIND_UPDATE, "update.not-now", true, false }, /* the cloud waits for an answer */
        { KIND_UPDATE, "update.hook", false, false },
        { NULL, "update.not-now", false, false },
        { KIND_UPDATE, NULL, false, false },
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        const Journal j = { .kind = (char *) cases[i].kind };
        _cleanup_(error_done) Error err = {};

        if (cases[i].id)
            error_set(&err, EAGAIN, cases[i].id, "reason");
        if (update_is_put_off(&j, cases[i].from_cloud, cases[i].id ? &err : NULL) != cases[i].put_off)
            fail_msg("case %zu", i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_state_proves),
        cmocka_unit_test(no_check_is_no_health),
        cmocka_unit_test(the_images_own_check),
        cmocka_unit_test(the_files_check_comes_first),
        cmocka_unit_test(the_file_can_switch_the_images_check_off),
        cmocka_unit_test(whose_fault_it_is),
        cmocka_unit_test(whose_guest_it_is),
        cmocka_unit_test(what_just_comes_again),
        cmocka_unit_test(what_is_not_of_this_box),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

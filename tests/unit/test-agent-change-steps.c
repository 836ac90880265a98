/* SPDX-License-Identifier: MIT */
/* What is written down of a change before it begins, in which order containers change, and what a limited order leaves alone. */
#include "tests/unit/compose-project.h"

#include "mgmt-agent/worker/phases/change-steps.h"
#include "mgmt-agent/worker/phases/make-plan.h"

/* db ← web ← proxy; vpn has the network of web; log stands alone */
#define SERVICES                                                                                                       \
    "{\"services\":{"                                                                                                  \
    "\"proxy\":{\"depends_on\":[\"web\"]},"                                                                            \
    "\"db\":{\"image\":\"docker.io/library/db:1\"},"                                                                   \
    "\"web\":{\"depends_on\":[\"db\"]},"                                                                               \
    "\"vpn\":{\"config\":{\"network_mode\":\"service:web\"}},"                                                         \
    "\"log\":{}}}"

static ObservedContainer runs(const ComposeService *s, const char *image_id, const char *state)
{
    return (ObservedContainer) { .id = str_format("id-of-%s", s->name),
                                 .name = strdup(s->container_name),
                                 .service = strdup(s->name),
                                 .image_id = strdup(image_id),
                                 .config_hash = strdup(s->config_hash),
                                 .state = strdup(state) };
}

/* What runs is what is wanted, with an image of the same id in each. */
typedef struct Fixture {
    DeployTarget target;
    DeployPast before;
    DeployOrder order;
    Plan *plan;
} Fixture;

static void plan_again(Fixture *f)
{
    _cleanup_(error_done) Error err = {};
    int r = deploy_make_plan(&f->target, &f->before, &f->order, &f->plan, &err);

    if (r < 0)
        fail_msg("%s", error_message(&err, r));
}

static int set_up(void **state)
{
    Fixture *f = calloc(1, sizeof(*f));
    const ComposeProject *p;

    f->target.project = project_from_json(SERVICES);
    f->target.image_ids = map_new(free);
    p = f->target.project;
    for (size_t i = 0; i < p->n_services; i++)
        assert_int_equal(map_put(f->target.image_ids, p->services[i].name, strdup("aaaa")), 0);
    plan_again(f); /* for the hashes */
    f->before.observed = calloc(p->n_services, sizeof(*f->before.observed));
    for (size_t i = 0; i < p->n_services; i++)
        f->before.observed[f->before.n_observed++] = runs(&p->services[i], "aaaa", "running");
    plan_again(f);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    Fixture *f = *state;

    plan_free(f->plan);
    map_free(f->target.image_ids);
    compose_project_free(f->target.project);
    observed_free_all(f->before.observed, f->before.n_observed);
    strv_free(f->order.only);
    strv_free(f->order.again);
    free(f);
    return 0;
}

static PlanAction action_of(const Fixture *f, const char *service)
{
    for (size_t i = 0; i < f->plan->n_steps; i++)
        if (str_equal(f->plan->steps[i].service, service))
            return f->plan->steps[i].action;
    fail_msg("no step for %s", service);
    return PLAN_KEEP;
}

static const JournalStep *step_of(const Journal *j, const char *service)
{
    for (size_t i = 0; i < j->n_steps; i++)
        if (str_equal(j->steps[i].service, service))
            return &j->steps[i];
    return NULL;
}

static void what_runs_as_wanted_is_kept(void **state)
{
    const Fixture *f = *state;

    assert_int_equal(f->plan->n_steps, 5);
    assert_int_equal(f->plan->n_changes, 0);
}

/* Its service is pulled for and made anew, whatever its settings are. */
static void an_image_that_is_not_here_counts_as_changed(void **state)
{
    Fixture *f = *state;

    map_remove(f->target.image_ids, "db");
    plan_again(f);
    assert_int_equal(f->plan->n_changes, 1);
    assert_int_equal(action_of(f, "db"), PLAN_REPLACE);
}

static void a_limited_order_leaves_others_as_they_are(void **state)
{
    Fixture *f = *state;

    map_remove(f->target.image_ids, "db");
    map_remove(f->target.image_ids, "log");
    assert_int_equal(strv_add(&f->order.only, "db"), 0);
    plan_again(f);
    assert_int_equal(action_of(f, "db"), PLAN_REPLACE);
    assert_int_equal(action_of(f, "log"), PLAN_KEEP);
    assert_int_equal(f->plan->n_changes, 1);
}

/* Its network goes with the old container. */
static void who_lives_in_the_network_of_a_service_is_made_anew_with_it(void **state)
{
    Fixture *f = *state;

    assert_int_equal(strv_add(&f->order.only, "web"), 0);
    assert_int_equal(strv_add(&f->order.again, "web"), 0);
    plan_again(f);
    assert_int_equal(action_of(f, "web"), PLAN_REPLACE);
    assert_int_equal(action_of(f, "vpn"), PLAN_REPLACE);
    assert_int_equal(action_of(f, "proxy"), PLAN_KEEP);
    assert_int_equal(f->plan->n_changes, 2);
}

static void only_changes_are_written_down(void **state)
{
    Fixture *f = *state;
    _cleanup_(journal_done) Journal j = {};
    const JournalStep *s;

    free(f->before.observed[1].state);
    f->before.observed[1].state = strdup("paused");
    map_remove(f->target.image_ids, "db");
    plan_again(f);
    assert_int_equal(change_steps_add(f->plan, &f->before, "7", &j), 0);
    assert_int_equal(j.n_steps, 1);
    s = step_of(&j, "db");
    assert_non_null(s);
    assert_string_equal(s->action, "replace");
    assert_string_equal(s->container, "box_db_1");
    assert_string_equal(s->old_id, "id-of-db");
    assert_string_equal(s->old_name, "box_db_1");
    assert_string_equal(s->backup, "box_db_1-before-7");
    assert_true(s->was_running); /* a paused container is to be there again, too */
}

static void a_new_service_has_nothing_to_go_back_to(void **state)
{
    Fixture *f = *state;
    _cleanup_(journal_done) Journal j = {};
    const JournalStep *s;

    observed_done(&f->before.observed[--f->before.n_observed]); /* log */
    plan_again(f);
    assert_int_equal(change_steps_add(f->plan, &f->before, "7", &j), 0);
    s = step_of(&j, "log");
    assert_non_null(s);
    assert_string_equal(s->action, "create");
    assert_null(s->old_id);
    assert_null(s->backup);
    assert_false(s->was_running);
}

static void what_had_stopped_is_not_started_by_going_back(void **state)
{
    Fixture *f = *state;
    _cleanup_(journal_done) Journal j = {};

    free(f->before.observed[1].state);
    f->before.observed[1].state = strdup("exited");
    map_remove(f->target.image_ids, "db");
    plan_again(f);
    assert_int_equal(change_steps_add(f->plan, &f->before, "7", &j), 0);
    assert_non_null(step_of(&j, "db"));
    assert_false(step_of(&j, "db")->was_running);
}

static void a_level_is_how_deep_the_dependencies_go(void **state)
{
    static const struct {
        const char *service;
        unsigned level;
    } cases[] = { { "db", 0 }, { "web", 1 }, { "proxy", 2 }, { "log", 0 } };
    const Fixture *f = *state;
    const ComposeProject *p = f->target.project;

    for (size_t i = 0; i < ELEMENTSOF(cases); i++)
        assert_int_equal(change_level(p, compose_service_find(p, cases[i].service)), cases[i].level);
    assert_int_equal(change_deepest_level(p), 2);
}

static void the_old_container_has_the_time_that_it_was_promised(void **state)
{
    const Fixture *f = *state;
    ComposeProject *after = f->target.project;
    _cleanup_(compose_project_freep) ComposeProject *before = project_from_json("{\"services\":{\"db\":{}}}");

    before->services[0].stop_grace_seconds = 90;
    after->services[0].stop_grace_seconds = 7; /* proxy */
    assert_int_equal(change_grace_seconds(before, after, "db"), 90);
    assert_int_equal(change_grace_seconds(before, after, "proxy"), 7);
    assert_int_equal(change_grace_seconds(NULL, after, "proxy"), 7);
    assert_int_equal(change_grace_seconds(NULL, after, "gone"), 10);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_runs_as_wanted_is_kept),
        TEST(an_image_that_is_not_here_counts_as_changed),
        TEST(a_limited_order_leaves_others_as_they_are),
        TEST(who_lives_in_the_network_of_a_service_is_made_anew_with_it),
        TEST(only_changes_are_written_down),
        TEST(a_new_service_has_nothing_to_go_back_to),
        TEST(what_had_stopped_is_not_started_by_going_back),
        TEST(a_level_is_how_deep_the_dependencies_go),
        TEST(the_old_container_has_the_time_that_it_was_promised),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

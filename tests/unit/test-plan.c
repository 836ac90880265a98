/* SPDX-License-Identifier: MIT */
/* What a push changes: only what differs, with reasons that name keys and never values. */
#include "tests/unit/compose-project.h"

#include <errno.h>
#include <stdio.h>

#include "compose/plan/plan.h"
#include "lib/base/buf.h"

#define IMAGE_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define IMAGE_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static const char *image_a(const char *service _unused_, void *userdata _unused_)
{
    return IMAGE_A;
}

static const char *image_b(const char *service _unused_, void *userdata _unused_)
{
    return "sha256:" IMAGE_B;
}

static const char *image_missing(const char *service _unused_, void *userdata _unused_)
{
    return NULL;
}

static ComposeProject *hashed(const char *json, const char *(*image)(const char *, void *) )
{
    ComposeProject *p = project_from_json(json);

    assert_int_equal(compose_hash_services(p, image, NULL), 0);
    return p;
}

static ObservedContainer observed(const ComposeService *s, const char *image)
{
    return (ObservedContainer) {
        .id = str_format("id-of-%s", s->name),
        .name = strdup(s->container_name),
        .service = strdup(s->name),
        .image_id = strdup(image),
        .config_hash = strdup(s->config_hash),
        .state = strdup("running"),
    };
}

static void set(char **field, const char *value)
{
    free(*field);
    *field = value ? strdup(value) : NULL;
}

#define WEB(members) "{\"services\":{\"web\":{" members "}}}"

static const char *const base = WEB("\"environment\":{\"A\":\"one\",\"B\":\"two\"},\"config\":{\"user\":\"0\"}");

/* Canonical order does not matter; everything in a container does. */
static void hash_is_of_the_container(void **state _unused_)
{
    static const struct {
        const char *json;
        bool same;
    } cases[] = {
        { WEB("\"config\":{\"user\":\"0\"},\"environment\":{\"B\":\"two\",\"A\":\"one\"}"), true },
        { WEB("\"environment\":{\"A\":\"one\",\"B\":\"two\"},\"config\":{\"user\":\"0\"},\"depends_on\":["
              "\"db\"]"),
          true },
        { WEB("\"environment\":{\"A\":\"one\",\"B\":\"two\"},\"config\":{\"user\":\"0\",\"stop_grace_"
              "period\":\"9s\"}"),
          true },
        { WEB("\"environment\":{\"A\":\"one\",\"B\":\"two\"},\"config\":{\"user\":\"0\"},\"image\":"
              "\"localhost/web:2\""),
          true },
        { "{\"services\":{\"web\":{\"environment\":{\"A\":\"one\",\"B\":\"two\"},\"config\":{\"user\":\"0\"}}"
          ",\"db\":{}},"
          "\"volumes\":{\"other\":{\"name\":\"box_other\"}}}",
          true },
        { WEB("\"environment\":{\"A\":\"one\",\"B\":\"two \"},\"config\":{\"user\":\"0\"}"), false },
        { WEB("\"environment\":{\"A\":\"one\",\"B\":\"two\",\"C\":\"\"},\"config\":{\"user\":\"0\"}"), false },
        { WEB("\"environment\":{\"A\":\"one\",\"B\":\"two\"},\"config\":{\"user\":\"1\"}"), false },
        { WEB("\"environment\":{\"A\":\"one\",\"B\":\"two\"},\"config\":{\"user\":\"0\"},\"container_name\":"
              "\"x\""),
          false },
        { "{\"services\":{\"web\":{\"environment\":{\"A\":\"one\",\"B\":\"two\"},\"config\":{\"user\":\"0\"}}"
          "},"
          "\"networks\":{\"default\":{\"name\":\"other\",\"external\":true}}}",
          false },
    };
    _cleanup_(compose_project_freep) ComposeProject *p = hashed(base, image_a);
    _cleanup_(compose_project_freep) ComposeProject *q = hashed(base, image_b);

    assert_int_equal(strlen(p->services[0].config_hash), 64);
    assert_string_not_equal(p->services[0].config_hash, q->services[0].config_hash);
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(compose_project_freep) ComposeProject *o = hashed(cases[i].json, image_a);

        if ((strcmp(p->services[0].config_hash, compose_service_find(o, "web")->config_hash) == 0) != cases[i].same)
            fail_msg("case %zu: %s", i, cases[i].json);
    }
    assert_int_equal(compose_hash_services(p, image_missing, NULL), -ENOENT);
}

/* A container that has this label on a box stays as it is: a change of the format must be meant. */
static void hash_is_frozen(void **state _unused_)
{
    _cleanup_(compose_project_freep) ComposeProject *p = hashed(WEB("\"environment\":{\"A\":\"1\"}"), image_a);

    assert_string_equal(p->services[0].config_hash, "aa6c59edb4613f05e401d4387e2d6d12017c937eb352b87bb912c4461d02e846");
}

typedef struct PlanCase {
    const char *wanted;
    const char *(*image)(const char *service, void *userdata);
    const char *state;
    int exit_code;
    const char *hash; /* label to find instead, or NULL */
    bool with_previous;
    PlanAction action;
    const char *reason;
} PlanCase;

#define ENV_AND(env, config) WEB("\"environment\":{" env "},\"config\":{" config "}")

static const PlanCase cases[] = {
    { ENV_AND("\"A\":\"one\",\"B\":\"two\"", "\"user\":\"0\""), image_a, "running", 0, NULL, true, PLAN_KEEP,
      "runs already as wanted" },
    { ENV_AND("\"A\":\"one\",\"B\":\"two\"", "\"user\":\"0\""), image_b, "running", 0, NULL, true, PLAN_REPLACE,
      "image changed" },
    { ENV_AND("\"A\":\"one\",\"B\":\"two\"", "\"user\":\"0\""), image_b, "running", 0, NULL, false, PLAN_REPLACE,
      "image changed" },
    { ENV_AND("\"A\":\"1\",\"B\":\"2\"", "\"user\":\"0\""), image_a, "running", 0, NULL, true, PLAN_REPLACE,
      "environment changed: A, B (values hidden)" },
    { ENV_AND("\"A\":\"one\",\"B\":\"two\",\"C\":\"\",\"D\":\"\"", "\"user\":\"0\""), image_a, "running", 0, NULL, true,
      PLAN_REPLACE, "environment added: C, D" },
    { ENV_AND("\"B\":\"two\"", "\"user\":\"0\""), image_a, "running", 0, NULL, true, PLAN_REPLACE,
      "environment removed: A" },
    { ENV_AND("\"A\":\"1\",\"B\":\"two\"", "\"user\":\"0\""), image_b, "running", 0, NULL, true, PLAN_REPLACE,
      "image changed; environment changed: A (values hidden)" },
    { ENV_AND("\"A\":\"one\",\"B\":\"two\"", "\"user\":\"1\",\"ports\":[]"), image_a, "running", 0, NULL, true,
      PLAN_REPLACE, "user changed; ports added" },
    { ENV_AND("\"A\":\"one\",\"B\":\"two\"", ""), image_a, "running", 0, NULL, true, PLAN_REPLACE, "user removed" },
    { ENV_AND("\"A\":\"one\",\"B\":\"two\"", "\"user\":\"1\""), image_a, "running", 0, NULL, false, PLAN_REPLACE,
      "configuration changed" },
    { ENV_AND("\"A\":\"one\",\"B\":\"two\"", "\"user\":\"0\""), image_a, "exited", 1, NULL, true, PLAN_REPLACE,
      "not running (exited 1)" },
    { ENV_AND("\"A\":\"one\",\"B\":\"two\"", "\"user\":\"0\""), image_a, "exited", 0, NULL, true, PLAN_KEEP,
      "runs already as wanted" },
    { ENV_AND("\"A\":\"one\",\"B\":\"two\"", "\"user\":\"0\""), image_a, "created", 0, NULL, true, PLAN_REPLACE,
      "not running (created)" },
    { ENV_AND("\"A\":\"one\",\"B\":\"two\"", "\"user\":\"0\""), image_a, "paused", 0, NULL, true, PLAN_REPLACE,
      "not running (paused)" },
    { ENV_AND("\"A\":\"one\",\"B\":\"two\"", "\"user\":\"0\""), image_a, "running", 0, "", true, PLAN_REPLACE,
      "made by hand or by an older tool" },
    { ENV_AND("\"A\":\"1\",\"B\":\"two\"", "\"user\":\"0\""), image_a, "exited", 137, NULL, true, PLAN_REPLACE,
      "environment changed: A (values hidden); not running (exited 137)" },
};

static void one_service(void **state _unused_)
{
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        const PlanCase *t = &cases[i];
        _cleanup_(error_done) Error err = {};
        _cleanup_(compose_project_freep) ComposeProject *previous = hashed(base, image_a);
        _cleanup_(compose_project_freep) ComposeProject *wanted = hashed(t->wanted, t->image);
        _cleanup_(observed_done) ObservedContainer o = observed(&previous->services[0], IMAGE_A);
        _cleanup_(plan_freep) Plan *plan = NULL;

        set(&o.state, t->state);
        o.exit_code = t->exit_code;
        if (t->hash)
            set(&o.config_hash, t->hash);
        assert_int_equal(compose_plan(wanted, t->with_previous ? previous : NULL, &o, 1, &plan, &err), 0);
        assert_int_equal(plan->n_steps, 1);
        if (plan->steps[0].action != t->action || strcmp(plan->steps[0].reason, t->reason) != 0)
            fail_msg("case %zu: %s \"%s\"", i, plan_action_to_string(plan->steps[0].action), plan->steps[0].reason);
        assert_int_equal(plan->n_changes, t->action != PLAN_KEEP);
        assert_string_equal(plan->steps[0].container, "box_web_1");
        assert_string_equal(plan->steps[0].old_id, "id-of-web");
    }
}

static void one_shot_needs_restart_no(void **state _unused_)
{
    _cleanup_(compose_project_freep) ComposeProject *p = hashed(WEB("\"config\":{\"restart\":\"always\"}"), image_a);
    _cleanup_(observed_done) ObservedContainer o = observed(&p->services[0], IMAGE_A);
    _cleanup_(plan_freep) Plan *plan = NULL;

    set(&o.state, "exited");
    assert_int_equal(compose_plan(p, p, &o, 1, &plan, NULL), 0);
    assert_int_equal(plan->steps[0].action, PLAN_REPLACE);
    assert_string_equal(plan->steps[0].reason, "not running (exited 0)");
}

static void long_lists_are_cut(void **state _unused_)
{
    _cleanup_(compose_project_freep) ComposeProject *before = hashed(WEB("\"environment\":{}"), image_a);
    _cleanup_(compose_project_freep) ComposeProject *p =
        hashed(WEB("\"environment\":{\"A\":\"\",\"B\":\"\",\"C\":\"\",\"D\":\"\",\"E\":\"\",\"F\":\"\",\"G\":\"\","
                   "\"H\":\"\",\"I\":\"\",\"J\":\"\"}"),
               image_a);
    _cleanup_(observed_done) ObservedContainer o = observed(&before->services[0], IMAGE_A);
    _cleanup_(plan_freep) Plan *plan = NULL;

    assert_int_equal(compose_plan(p, before, &o, 1, &plan, NULL), 0);
    assert_string_equal(plan->steps[0].reason, "environment added: A, B, C, D, E, F, G, H and 2 more");
}

/* Steps in start order, then removals; containers of others are left alone. */
static void whole_project(void **state _unused_)
{
    _cleanup_(compose_project_freep) ComposeProject *before =
        hashed("{\"services\":{\"old\":{},\"db\":{},\"web\":{}}}", image_a);
    _cleanup_(compose_project_freep) ComposeProject *p = hashed(
        "{\"services\":{\"db\":{},\"web\":{\"environment\":{\"TOKEN\":\"hunter2hunter2\"}},\"new\":{}}}", image_a);
    _cleanup_(plan_freep) Plan *plan = NULL;
    _cleanup_(cJSON_Deletep) cJSON *json = NULL;
    _cleanup_(freep) char *text = NULL;
    ObservedContainer o[5];

    for (size_t i = 0; i < 3; i++)
        o[i] = observed(&before->services[i], IMAGE_A);
    o[3] = observed(&before->services[1], IMAGE_A);
    set(&o[3].name, "db-copy");
    o[4] = observed(&before->services[1], IMAGE_A);
    set(&o[4].name, "somebody-elses");
    set(&o[4].service, NULL);

    assert_int_equal(compose_plan(p, before, o, 5, &plan, NULL), 0);
    assert_int_equal(plan->n_steps, 5);
    assert_int_equal(plan->n_changes, 4);
    assert_string_equal(plan->steps[0].service, "db");
    assert_int_equal(plan->steps[0].action, PLAN_KEEP);
    assert_string_equal(plan->steps[1].service, "web");
    assert_int_equal(plan->steps[1].action, PLAN_REPLACE);
    assert_string_equal(plan->steps[2].service, "new");
    assert_int_equal(plan->steps[2].action, PLAN_CREATE);
    assert_null(plan->steps[2].old_id);
    assert_string_equal(plan->steps[2].reason, "new service");
    assert_int_equal(plan->steps[3].action, PLAN_REMOVE);
    assert_string_equal(plan->steps[3].container, "box_old_1");
    assert_string_equal(plan->steps[3].reason, "service is no longer in the file");
    assert_string_equal(plan->steps[4].container, "db-copy");

    json = plan_to_json(plan);
    text = json_print(json);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(json, "steps")), 5);
    assert_int_equal(cJSON_GetObjectItem(json, "changes")->valueint, 4);
    assert_null(strstr(text, "hunter2"));
    for (size_t i = 0; i < ELEMENTSOF(o); i++)
        observed_done(&o[i]);
}

/* An update of one service leaves everything else as it is, whatever differs. */
static void limited(void **state _unused_)
{
    static char *const only[] = { "web", "cache", NULL }, *const again[] = { "cache", NULL };
    _cleanup_(compose_project_freep) ComposeProject *before =
        hashed("{\"services\":{\"db\":{},\"web\":{},\"cache\":{},\"old\":{}}}", image_a);
    _cleanup_(compose_project_freep) ComposeProject *p =
        hashed("{\"services\":{\"db\":{},\"web\":{},\"cache\":{},\"missing\":{}}}", image_b);
    _cleanup_(plan_freep) Plan *plan = NULL;
    ObservedContainer o[4];

    for (size_t i = 0; i < ELEMENTSOF(o); i++)
        o[i] = observed(&before->services[i], IMAGE_A);
    set(&o[2].config_hash, p->services[2].config_hash);
    assert_int_equal(compose_plan(p, before, o, ELEMENTSOF(o), &plan, NULL), 0);
    assert_int_equal(plan->n_steps, 5);
    assert_int_equal(plan->n_changes, 4);
    assert_int_equal(plan_limit(plan, only, again), 0);
    assert_int_equal(plan->n_steps, 3);
    assert_int_equal(plan->n_changes, 2);
    assert_string_equal(plan->steps[0].service, "db");
    assert_int_equal(plan->steps[0].action, PLAN_KEEP);
    assert_string_equal(plan->steps[1].service, "web");
    assert_int_equal(plan->steps[1].action, PLAN_REPLACE);
    assert_string_equal(plan->steps[2].service, "cache");
    assert_int_equal(plan->steps[2].action, PLAN_REPLACE);
    assert_string_equal(plan->steps[2].reason, "is made anew");
    for (size_t i = 0; i < ELEMENTSOF(o); i++)
        observed_done(&o[i]);
}

static void names(void **state _unused_)
{
    _cleanup_(compose_project_freep) ComposeProject *before = hashed("{\"services\":{\"a\":{},\"b\":{}}}", image_a);
    _cleanup_(compose_project_freep) ComposeProject *renamed =
        hashed("{\"services\":{\"a\":{\"container_name\":\"box_b_1\"},\"b\":{}}}", image_a);
    _cleanup_(compose_project_freep) ComposeProject *alone =
        hashed("{\"services\":{\"a\":{\"container_name\":\"box_b_1\"}}}", image_a);
    _cleanup_(observed_done) ObservedContainer a = observed(&before->services[0], IMAGE_A);
    _cleanup_(observed_done) ObservedContainer b = observed(&before->services[1], IMAGE_A);
    _cleanup_(error_done) Error taken = {}, foreign = {};
    _cleanup_(plan_freep) Plan *plan = NULL;
    Plan *none = NULL;

    /* b's container has the name that a wants, and b stays */
    assert_int_equal(compose_plan(renamed, before, &b, 1, &none, &taken), -EEXIST);
    assert_string_equal(error_id(&taken), "plan.name-taken");
    assert_null(none);
    /* b goes, a takes over */
    assert_int_equal(compose_plan(alone, before, &b, 1, &plan, NULL), 0);
    assert_int_equal(plan->n_steps, 1);
    assert_int_equal(plan->steps[0].action, PLAN_REPLACE);
    assert_string_equal(plan->steps[0].old_id, "id-of-b");
    /* a container of nobody's project */
    set(&a.service, NULL);
    assert_int_equal(compose_plan(before, NULL, &a, 1, &none, &foreign), -EEXIST);
    assert_string_equal(error_id(&foreign), "plan.name-taken");
}

static void new_container_name(void **state _unused_)
{
    _cleanup_(compose_project_freep) ComposeProject *before = hashed(base, image_a);
    _cleanup_(compose_project_freep) ComposeProject *p =
        hashed(WEB("\"environment\":{\"A\":\"one\",\"B\":\"two\"},\"config\":{\"user\":\"0\"},\"container_"
                   "name\":\"front\""),
               image_a);
    _cleanup_(observed_done) ObservedContainer o = observed(&before->services[0], IMAGE_A);
    _cleanup_(plan_freep) Plan *plan = NULL;

    assert_int_equal(compose_plan(p, before, &o, 1, &plan, NULL), 0);
    assert_int_equal(plan->n_steps, 1);
    assert_int_equal(plan->steps[0].action, PLAN_REPLACE);
    assert_string_equal(plan->steps[0].container, "front");
    assert_non_null(strstr(plan->steps[0].reason, "container is called box_web_1"));
}

static void networks(void **state _unused_)
{
    static const char *const before_text = "{\"services\":{\"web\":{\"config\":{\"networks\":{\"n\":{}}}}},"
                                           "\"networks\":{\"n\":{\"name\":\"box_n\",\"external\":false}}}";
    static const char *const changed_text =
        "{\"services\":{\"web\":{\"config\":{\"networks\":{\"n\":{}}}}},"
        "\"networks\":{\"n\":{\"name\":\"box_n\",\"external\":false,\"internal\":true}}}";
    static const char *const renamed_text =
        "{\"services\":{\"web\":{\"config\":{\"networks\":{\"n\":{}}}}},"
        "\"networks\":{\"n\":{\"name\":\"box_n2\",\"external\":false,\"internal\":true}}}";
    _cleanup_(compose_project_freep) ComposeProject *before = hashed(before_text, image_a);
    _cleanup_(compose_project_freep) ComposeProject *changed = hashed(changed_text, image_a);
    _cleanup_(compose_project_freep) ComposeProject *renamed = hashed(renamed_text, image_a);
    _cleanup_(observed_done) ObservedContainer o = observed(&before->services[0], IMAGE_A);
    _cleanup_(error_done) Error err = {};
    _cleanup_(plan_freep) Plan *plan = NULL;

    assert_int_equal(compose_plan(changed, before, &o, 1, &plan, &err), -EEXIST);
    assert_string_equal(error_id(&err), "plan.network-changed");
    assert_int_equal(compose_plan(renamed, before, &o, 1, &plan, NULL), 0);
    assert_int_equal(plan->steps[0].action, PLAN_REPLACE);
    assert_string_equal(plan->steps[0].reason, "network n changed");
}

/* Nothing about app and job themselves changes. */
static void dependents_are_taken_along(void **state _unused_)
{
    static const struct {
        const char *changed, *actions;
    } changes[] = {
        { "db", "db:replace job:replace app:replace end:keep" },
        { "app", "db:keep job:replace app:replace end:keep" },
        { "end", "db:keep job:keep app:keep end:replace" },
        { "none", "db:keep job:keep app:keep end:keep" },
    };

    for (size_t i = 0; i < ELEMENTSOF(changes); i++) {
        _cleanup_(compose_project_freep) ComposeProject *p =
            project_from_json("{\"services\":{\"db\":{},\"job\":{},\"app\":{},\"end\":{}}}");
        ObservedContainer observed[4] = {};
        _cleanup_(plan_freep) Plan *plan = NULL;
        _cleanup_(buf_done) Buf b = BUF_INIT(1000);

        for (size_t k = 0; k < p->n_services; k++) {
            ComposeService *s = &p->services[k];

            snprintf(s->config_hash, sizeof(s->config_hash), "%s",
                     str_equal(s->name, changes[i].changed) ? "new" : "old");
            observed[k] = (ObservedContainer) { .id = s->name,
                                                .name = s->container_name,
                                                .service = s->name,
                                                .image_id = s->image,
                                                .config_hash = (char *) "old",
                                                .state = (char *) "running" };
        }
        assert_int_equal(strv_add(&p->services[2].depends_on, "db"), 0);
        assert_int_equal(strv_add(&p->services[2].depends_on, "job"), 0);
        assert_int_equal(strv_add(&p->services[2].restarts_with, "db"), 0);
        cJSON_Delete(p->services[2].depends_conditions);
        p->services[2].depends_conditions =
            cJSON_Parse("{\"db\":\"service_started\",\"job\":\"service_completed_successfully\"}");
        assert_int_equal(strv_add(&p->services[3].depends_on, "app"), 0);
        assert_int_equal(compose_plan(p, NULL, observed, 4, &plan, NULL), 0);
        for (size_t k = 0; k < plan->n_steps; k++)
            assert_int_equal(buf_printf(&b, "%s%s:%s", k ? " " : "", plan->steps[k].service,
                                        plan_action_to_string(plan->steps[k].action)),
                             0);
        assert_string_equal(b.data, changes[i].actions);
    }
}

static void guests_to_the_last(void **state _unused_)
{
    _cleanup_(compose_project_freep) ComposeProject *p =
        project_from_json("{\"services\":{\"a\":{},\"b\":{\"config\":{\"network_mode\":\"service:a\"}},"
                          "\"c\":{\"config\":{\"network_mode\":\"service:b\"}},"
                          "\"d\":{\"config\":{\"network_mode\":\"host\"}}}}");
    char *const a[] = { (char *) "a", NULL }, *const b[] = { (char *) "b", NULL };

    assert_false(compose_lives_in(p, compose_service_find(p, "a"), a));
    assert_true(compose_lives_in(p, compose_service_find(p, "b"), a));
    assert_true(compose_lives_in(p, compose_service_find(p, "c"), a));
    assert_false(compose_lives_in(p, compose_service_find(p, "d"), a));
    assert_false(compose_lives_in(p, compose_service_find(p, "b"), b));
    assert_true(compose_lives_in(p, compose_service_find(p, "c"), b));
    assert_ptr_equal(compose_owner(p, compose_service_find(p, "c"), "network_mode"), compose_service_find(p, "a"));
    assert_null(compose_owner(p, compose_service_find(p, "a"), "network_mode"));
    assert_null(compose_owner(p, compose_service_find(p, "d"), "network_mode"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(guests_to_the_last),
        cmocka_unit_test(hash_is_of_the_container),
        cmocka_unit_test(hash_is_frozen),
        cmocka_unit_test(one_service),
        cmocka_unit_test(one_shot_needs_restart_no),
        cmocka_unit_test(long_lists_are_cut),
        cmocka_unit_test(whole_project),
        cmocka_unit_test(limited),
        cmocka_unit_test(names),
        cmocka_unit_test(new_container_name),
        cmocka_unit_test(networks),
        cmocka_unit_test(dependents_are_taken_along),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* Whole services in forms that public compose files have: what becomes of each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "compose/compose.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"

static const char *lookup(const char *key, void *userdata)
{
    (void) key;
    (void) userdata;
    return NULL;
}

static ComposeProject *resolve_good(const char *text)
{
    const ComposeResolveOptions options = { .project = "box", .base_dir = "/srv/box", .lookup = lookup };
    _cleanup_(compose_file_freep) ComposeFile *f = NULL;
    _cleanup_(error_done) Error err = {};
    ComposeProject *p = NULL;
    int r = compose_parse(text, strlen(text), "c.yml", &f, &err);

    if (r >= 0)
        r = compose_resolve(f, &options, &p, &err);
    if (r < 0)
        fail_msg("%s: %s: %s", text, error_id(&err), error_message(&err, r));
    return p;
}

/* A service that runs no times is as good as not there, also for those that wait for it. */
static void test_switched_off(void **state)
{
    _cleanup_(compose_project_freep) ComposeProject *p =
        resolve_good("services:\n  a: {image: x, depends_on: [b, c], ports: [80:80]}\n"
                     "  b: {image: x, scale: 0, ports: [80:80], container_name: box_a_1}\n"
                     "  c: {image: x, deploy: {replicas: '${NOPE:-0}'}, networks: [n]}\nnetworks: {n: }\n");

    (void) state;
    assert_int_equal(p->n_services, 1);
    assert_string_equal(p->services[0].name, "a");
    assert_null(p->services[0].depends_on);
    assert_null(cJSON_GetObjectItem(p->networks, "n"));
}

/* `disable: false` takes nothing from the image, so it says nothing. */
static void test_check_of_the_image(void **state)
{
    _cleanup_(compose_project_freep) ComposeProject *p =
        resolve_good("services:\n  a: {image: x, healthcheck: {disable: false}}\n"
                     "  b: {image: x, healthcheck: {interval: 5s}}\n");

    (void) state;
    assert_null(p->services[0].healthcheck);
    assert_null(cJSON_GetObjectItem(p->services[0].config, "healthcheck"));
    assert_string_equal(json_string(p->services[1].healthcheck, "interval_usec"), "5000000");
}

/* What the file calls itself elsewhere changes no name on the box. */
static void test_name_of_the_file(void **state)
{
    _cleanup_(compose_project_freep) ComposeProject *p = resolve_good("name: other\nservices: {a: {image: x}}\n");

    (void) state;
    assert_string_equal(p->name, "box");
    assert_string_equal(p->services[0].container_name, "box_a_1");
}

static void test_names_of_variables(void **state)
{
    _cleanup_(compose_project_freep) ComposeProject *p =
        resolve_good("services: {a: {image: x, environment: {discovery.type: single-node, a-b: '1', 9: x,\n"
                     "  A_NAME_THAT_IS_LONGER_THAN_SIXTY_FOUR_LETTERS_AS_JAVA_PROGRAMS_OFTEN_HAVE_THEM: y}}}\n");
    const cJSON *environment = p->services[0].environment;

    (void) state;
    assert_string_equal(json_string(environment, "discovery.type"), "single-node");
    assert_string_equal(json_string(environment, "a-b"), "1");
    assert_int_equal(cJSON_GetArraySize(environment), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_switched_off),
        cmocka_unit_test(test_check_of_the_image),
        cmocka_unit_test(test_name_of_the_file),
        cmocka_unit_test(test_names_of_variables),
    };

    return cmocka_run_group_tests_name("compose-forms", tests, NULL, NULL);
}

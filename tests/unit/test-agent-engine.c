/* SPDX-License-Identifier: MIT */
/* Which engine makes a service's container, and that it is one that can. */
#include "tests/unit/compose-project.h"

#include "compose/engine-check.h"
#include "mgmt-agent/worker/engine/engine.h"

static const char *chosen(const char *setting, DriverStrategy strategy, const char *config)
{
    const Driver driver = { .version = (char *) "1.0.3", .strategy = strategy };
    _cleanup_(freep) char *text = str_format("{\"services\":{\"web\":{\"config\":{%s}}}}", config), *why = NULL;
    _cleanup_(compose_project_freep) ComposeProject *p = project_from_json(text);

    return engine_for(setting, &driver, p, &p->services[0], &why)->name;
}

static void the_one_that_can(void **state _unused_)
{
    static const char plain[] = "\"user\":\"7\"", shares[] = "\"network_mode\":\"host\"",
                      unknown[] = "\"stop_signal\":\"SIGNOT\"";

    assert_string_equal(chosen(ENGINE_PODMAN_COMPOSE, STRATEGY_CLASSIC, plain), ENGINE_PODMAN_COMPOSE);
    assert_string_equal(chosen(ENGINE_LIBPOD, STRATEGY_MODERN, plain), ENGINE_LIBPOD);
    assert_string_equal(chosen(ENGINE_AUTO, STRATEGY_CLASSIC, plain), ENGINE_LIBPOD);
    assert_string_equal(chosen(NULL, STRATEGY_CLASSIC, plain), ENGINE_LIBPOD);
    assert_string_equal(chosen(ENGINE_AUTO, STRATEGY_MODERN, plain), ENGINE_PODMAN_COMPOSE);
    assert_string_equal(chosen(ENGINE_AUTO, STRATEGY_MODERN, shares), ENGINE_LIBPOD);
    assert_string_equal(chosen(ENGINE_AUTO, STRATEGY_CLASSIC, unknown), ENGINE_PODMAN_COMPOSE);
}

static const char *image_of(const char *service _unused_, void *userdata _unused_)
{
    return "cafe";
}

static void what_libpod_cannot_is_found_before_anything_stops(void **state _unused_)
{
    static const char *const projects[] = {
        "{\"services\":{\"web\":{\"config\":{\"stop_signal\":\"SIGNOT\"}}}}",
        "{\"services\":{\"web\":{\"config\":{\"networks\":{\"n\":{}}}}},"
        "\"networks\":{\"n\":{\"name\":\"box_n\",\"ipam\":{\"config\":[{\"gateway\":\"10.1.0.1\"}]}}}}",
        "{\"services\":{\"web\":{\"config\":{\"networks\":{\"n\":{}}}}},"
        "\"networks\":{\"n\":{\"name\":\"box_n\",\"ipam\":{\"driver\":\"dhcp\"}}}}",
    };

    for (size_t i = 0; i < ELEMENTSOF(projects); i++) {
        _cleanup_(compose_project_freep) ComposeProject *p = project_from_json(projects[i]);
        const EngineContext work = { .project = p, .version = "1", .folder = "/stage", .image = image_of };
        _cleanup_(error_done) Error err = {};

        assert_true(engine_libpod.stage(&work, &p->services[0], &err) < 0);
        assert_string_equal(error_id(&err), "spec.unsupported");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_one_that_can),
        cmocka_unit_test(what_libpod_cannot_is_found_before_anything_stops),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

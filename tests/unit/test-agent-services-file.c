/* SPDX-License-Identifier: MIT */
/* How the services were, from one agent to the next. */
#include "tests/unit/agent-root.h"

#include "mgmt-agent/state/services-file.h"

#define FILE_PATH AGENT_STATE_DIR "/services.json"

static void test_what_the_next_agent_finds(void **state)
{
    ServiceTrouble trouble = {
        .what = "looping",
        .since = UINT64_C(1767323045678000),
        .exit_code = 7,
        .restarts = 4,
        .log = "no camera",
        .cut_off = true,
    };
    ServiceStatus services[] = {
        { .name = "web", .state = "running", .since = UINT64_C(1767323045000000), .id = "0123" },
        { .name = "nvr", .state = "down", .trouble = &trouble, .id = "4567", .tries = 3, .recreated = true },
    };
    ServiceStatus removed[] = { { .name = "old", .state = "removed", .trouble = &trouble } };
    const ServicesFile f = { services, ELEMENTSOF(services), removed, ELEMENTSOF(removed), NULL };
    _cleanup_(services_file_done) ServicesFile back = {};

    (void) state;
    assert_int_equal(services_file_save(&f, NULL), 0);
    services_file_load(&back);
    assert_int_equal(back.n_services, 2);
    assert_string_equal(back.services[0].name, "web");
    assert_string_equal(back.services[0].state, "running");
    assert_string_equal(back.services[0].id, "0123");
    assert_int_equal(back.services[0].since, services[0].since);
    assert_null(back.services[0].trouble);
    assert_int_equal(back.services[1].tries, 3);
    assert_true(back.services[1].recreated);
    assert_non_null(back.services[1].trouble);
    assert_string_equal(back.services[1].trouble->what, "looping");
    assert_int_equal(back.services[1].trouble->since, trouble.since);
    assert_int_equal(back.services[1].trouble->until, 0);
    assert_int_equal(back.services[1].trouble->exit_code, 7);
    assert_int_equal(back.services[1].trouble->restarts, 4);
    assert_string_equal(back.services[1].trouble->log, "no camera");
    assert_null(back.services[1].trouble->error);
    assert_true(back.services[1].trouble->cut_off);
    assert_int_equal(back.n_removed, 1);
    assert_string_equal(back.removed[0].name, "old");
}

/* As written before there was a type for it. */
static void test_the_file_of_an_older_agent(void **state)
{
    static const char text[] =
        "{\"services\":[{\"name\":\"web\",\"state\":\"running\",\"since\":\"2026-01-01T22:00:00.000Z\",\"id\":\"0123\","
        "\"tries\":0,\"recreated\":false},{\"name\":\"nvr\",\"state\":\"down\",\"trouble\":{\"what\":\"down\","
        "\"since\":"
        "\"2026-01-01T22:00:00.000Z\",\"exitCode\":0,\"restarts\":0},\"id\":\"4567\",\"tries\":2,\"recreated\":true}],"
        "\"removed\":[]}";
    _cleanup_(services_file_done) ServicesFile f = {};

    (void) state;
    agent_root_write(FILE_PATH, text);
    services_file_load(&f);
    assert_int_equal(f.n_services, 2);
    assert_true(f.services[0].since > 0);
    assert_int_equal(f.services[0].tries, 0);
    assert_int_equal(f.services[1].tries, 2);
    assert_true(f.services[1].recreated);
    assert_string_equal(f.services[1].trouble->what, "down");
    assert_int_equal(f.n_removed, 0);
}

/* What was tried in vain is tried again behind a boot; the trouble is the same one. */
static void test_the_file_of_another_boot(void **state)
{
    static const char text[] =
        "{\"services\":[{\"name\":\"nvr\",\"state\":\"down\",\"trouble\":{\"what\":\"down\",\"since\":"
        "\"2026-01-01T22:00:00.000Z\",\"exitCode\":0,\"restarts\":5},\"id\":\"4567\",\"tries\":2,\"recreated\":true}],"
        "\"removed\":[],\"bootId\":\"another\"}";
    _cleanup_(services_file_done) ServicesFile f = {};

    (void) state;
    agent_root_write(FILE_PATH, text);
    services_file_load(&f);
    assert_int_equal(f.n_services, 1);
    assert_int_equal(f.services[0].tries, 0);
    assert_true(f.services[0].recreated);
    assert_int_equal(f.services[0].trouble->restarts, 5);
}

static void test_what_cannot_be_read_is_empty(void **state)
{
    static const char *const texts[] = { NULL, "", "{", "[]", "{}", "{\"services\":7}" };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
        ServicesFile f;

        agent_root_write(FILE_PATH, texts[i]);
        memset(&f, 0xff, sizeof(f));
        services_file_load(&f);
        assert_int_equal(f.n_services, 0);
        assert_int_equal(f.n_removed, 0);
        services_file_done(&f);
    }
}

/* The members and their order are those of agent.status. */
static void test_what_the_cloud_is_told(void **state)
{
    ServiceTrouble trouble = { .what = "down", .since = UINT64_C(1767323045678000), .error = "podman hangs" },
                   unreachable = { .what = "unhealthy", .since = trouble.since, .restarts = 2, .cut_off = true };
    const ServiceStatus services[] = {
        { .name = "web", .state = "running", .since = UINT64_C(1767323045678000) },
        { .name = "nvr", .state = "down", .trouble = &trouble },
        { .name = "db", .state = "unhealthy", .trouble = &unreachable },
    };
    _cleanup_(cJSON_Deletep) cJSON *none = service_statuses_to_json(NULL, 0);
    _cleanup_(cJSON_Deletep) cJSON *all = service_statuses_to_json(services, ELEMENTSOF(services));
    _cleanup_(freep) char *empty = json_print(none), *text = json_print(all);

    (void) state;
    assert_string_equal(empty, "[]");
    assert_string_equal(text, "[{\"name\":\"web\",\"state\":\"running\",\"since\":\"2026-01-02T03:04:05.678Z\"},"
                              "{\"name\":\"nvr\",\"state\":\"down\",\"trouble\":{\"what\":\"down\",\"since\":"
                              "\"2026-01-02T03:04:05.678Z\",\"exitCode\":0,\"restarts\":0,\"error\":\"podman hangs\"}},"
                              "{\"name\":\"db\",\"state\":\"unhealthy\",\"trouble\":{\"what\":\"unhealthy\",\"since\":"
                              "\"2026-01-02T03:04:05.678Z\",\"exitCode\":0,\"restarts\":2,\"cutOff\":true}}]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_the_next_agent_finds), cmocka_unit_test(test_the_file_of_an_older_agent),
        cmocka_unit_test(test_the_file_of_another_boot),  cmocka_unit_test(test_what_cannot_be_read_is_empty),
        cmocka_unit_test(test_what_the_cloud_is_told),
    };

    return cmocka_run_group_tests(tests, agent_root_make, agent_root_remove);
}

/* SPDX-License-Identifier: MIT */
/* Whose podman: root's only where it is named, or where our own record and its containers' folders say so. */
#include "tests/unit/agent-root.h"

#include <errno.h>
#include <pwd.h>

#include "mgmt-agent/agent/worker-unit.h"
#include "mgmt-agent/host/podman-user.h"
#include "mgmt-agent/state/root-podman.h"
#include "mgmt-agent/state/worker-request.h"

static void deploy(const char *folder)
{
    _cleanup_(freep) char *text = str_format("{\"version\":\"1\",\"services\":[{\"name\":\"a\"},{\"name\":\"b\","
                                             "\"staticDir\":\"%s\"}]}",
                                             folder);

    agent_root_write(AGENT_STATE_DIR "/current.json", text);
}

static void test_roots_containers_are_known_by_their_folders(void **state)
{
    _cleanup_(freep) char *folder = path_in_root(STATE_DIR "/container");

    (void) state;
    assert_false(root_podman_is_used());
    deploy(folder);
    assert_false(root_podman_is_used()); /* the container is gone */
    assert_int_equal(mkdir(folder, 0700), 0);
    if (geteuid() != 0)
        skip();
    assert_true(root_podman_is_used());
    assert_int_equal(chown(folder, 12345, 12345), 0);
    assert_false(root_podman_is_used());
    assert_int_equal(chown(folder, 0, 0), 0);
}

static void test_root_is_taken_only_then(void **state)
{
    _cleanup_(freep) char *folder = path_in_root(STATE_DIR "/container");
    _cleanup_(podman_user_done) PodmanUser user = {}, named = {};
    _cleanup_(error_done) Error err = {};

    (void) state;
    if (geteuid() != 0 || getpwnam("tc") || getpwnam("tcops"))
        skip();
    deploy(folder); /* of the test before */
    assert_int_equal(podman_user_find(NULL, &user, &err), 0);
    assert_string_equal(user.name, "root");
    assert_true(user.unnamed_root);
    assert_int_equal(podman_user_find("root", &named, &err), 0);
    assert_false(named.unnamed_root);
    podman_user_done(&user);

    deploy("/nowhere/at/all");
    assert_int_equal(podman_user_find(NULL, &user, &err), -ENOENT);
    assert_string_equal(error_id(&err), "podman.no-user");
    assert_non_null(strstr(error_message(&err, 0), "useradd --create-home tc"));
    assert_non_null(strstr(error_message(&err, 0), "PODMAN_USER=root"));
}

static void test_what_a_worker_in_a_unit_gets_of_the_environment(void **state)
{
    _cleanup_(cJSON_Deletep) cJSON *request = json_of("{\"message\":{}}");
    _cleanup_(cJSON_Deletep) cJSON *whole = NULL;

    (void) state;
    assert_int_equal(setenv("https_proxy", "http://user:secret@proxy", 1), 0);
    assert_int_equal(setenv("LD_PRELOAD_TEST", "x", 1), 0);
    whole = worker_unit_request(request);
    assert_non_null(cJSON_GetObjectItemCaseSensitive(whole, "message"));
    assert_int_equal(unsetenv("https_proxy"), 0);
    assert_int_equal(unsetenv("LD_PRELOAD_TEST"), 0);
    assert_int_equal(podman_user_take_environment(cJSON_GetObjectItemCaseSensitive(whole, WORKER_ENVIRONMENT)), 0);
    assert_string_equal(getenv("https_proxy"), "http://user:secret@proxy");
    assert_null(getenv("LD_PRELOAD_TEST"));
    assert_int_equal(podman_user_take_environment(NULL), 0);
}

static void test_no_variable_is_in_the_command_line(void **state)
{
    _cleanup_(strv_freep) char **argv = NULL;
    _cleanup_(freep) char *line = NULL;

    (void) state;
    assert_int_equal(worker_unit_argv(&argv, "apply"), 0);
    line = strv_join(argv, " ");
    assert_null(strstr(line, "secret"));
    assert_true(strv_contains(argv, "--property=KillMode=process"));
    assert_string_equal(argv[strv_length(argv) - 1], "--");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_roots_containers_are_known_by_their_folders),
        cmocka_unit_test(test_root_is_taken_only_then),
        cmocka_unit_test(test_what_a_worker_in_a_unit_gets_of_the_environment),
        cmocka_unit_test(test_no_variable_is_in_the_command_line),
    };

    return cmocka_run_group_tests(tests, agent_root_make, agent_root_remove);
}

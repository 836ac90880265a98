/* SPDX-License-Identifier: MIT */
/* Whose podman: root's only where it is named, or where our own record and its containers' folders say so. */
#include "tests/unit/agent-root.h"

#include <errno.h>
#include <pwd.h>

#include "mgmt-agent/host/podman-user.h"
#include "mgmt-agent/state/root-podman.h"
#include "mgmt-agent/state/snapshot-store.h"

static void deploy(const char *folder)
{
    _cleanup_(freep) char *text = str_format("{\"version\":\"1\",\"services\":[{\"name\":\"a\"},{\"name\":\"b\","
                                             "\"staticDir\":\"%s\"}]}", folder);
    _cleanup_(cJSON_Deletep) cJSON *current = json_of(text);

    assert_int_equal(store_save_current(current, NULL), 0);
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

    deploy("/nowhere");
    assert_int_equal(podman_user_find(NULL, &user, &err), -ENOENT);
    assert_string_equal(error_id(&err), "podman.no-user");
    assert_non_null(strstr(error_message(&err, 0), "useradd --create-home tc"));
    assert_non_null(strstr(error_message(&err, 0), "PODMAN_USER=root"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_roots_containers_are_known_by_their_folders),
        cmocka_unit_test(test_root_is_taken_only_then),
    };

    return cmocka_run_group_tests(tests, agent_root_make, agent_root_remove);
}

/* SPDX-License-Identifier: MIT */
/* What podman says when another one was killed half-way, and the namespace that such a one leaves half made. */
#include "tests/unit/agent-root.h"

#include "lib/base/clock.h"
#include "mgmt-agent/host/rootless-netns.h"
#include "mgmt-agent/worker/podman/podman-stale.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define OTHER "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"
#define START "podman refused to start a container: "

static void test_sentences(void **state)
{
    static const struct {
        const char *says, *id;
        StaleState stale;
    } cases[] = {
        /* 4.3 */
        { START "failed to mount runtime directory for rootless netns: no such file or directory (500)", ID,
          STALE_NETNS },
        { "unable to start container " ID
          ": failed to mount runtime directory for rootless netns: no such file or directory",
          NULL, STALE_NETNS },
        { START "crun: container `" ID "` already exists: OCI runtime error (500)", ID, STALE_RUNTIME },
        { START "runc: runc create failed: container with given ID already exists: OCI runtime error (500)", ID,
          STALE_RUNTIME },
        /* 4.4 */
        { START "creating rootless network namespace: open /run/user/1000/netns/rootless-netns-0a1b2c3d4e5f60718293: "
                "file exists (500)",
          ID, STALE_NETNS },
        /* 5.0 to 5.3 */
        { START "rootless netns: create netns: open /run/user/1000/containers/networks/rootless-netns/rootless-netns: "
                "file exists (500)",
          ID, STALE_NETNS },
        /* what is something else */
        { START "crun: container `" OTHER "` already exists: OCI runtime error (500)", ID, STALE_NONE },
        { START "crun: container `" ID "` already exists: OCI runtime error (500)", "secbox_web_1", STALE_NONE },
        { START "container with given ID already exists", NULL, STALE_NONE },
        { START "rootless netns: create netns: open /run/user/1000/x: permission denied (500)", ID, STALE_NONE },
        { START "rootless netns: mount \"/run/user/1000\" to \"x\": no such file or directory (500)", ID, STALE_NONE },
        { START "creating named volume \"data\": volume already exists (500)", ID, STALE_NONE },
        { "podman refused to make a container: creating container storage: the container name \"secbox_web_1\" is "
          "already "
          "in use by " ID
          ". You have to remove that container to be able to reuse that name: that name is already in use",
          ID, STALE_NONE },
        { "", ID, STALE_NONE },
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++)
        if (podman_stale_state(cases[i].says, cases[i].id) != cases[i].stale)
            fail_msg("%zu: %s", i, cases[i].says);
}

static void make(const PodmanUser *user, const char *inside, bool folder)
{
    _cleanup_(freep) char *path = str_format("%s/%s", user->runtime_dir, inside);

    assert_int_equal(folder ? dir_make(path, 0700, (uid_t) -1, (gid_t) -1, NULL)
                            : file_write_atomic(path, "", 0, 0600, (uid_t) -1, (gid_t) -1, NULL),
                     0);
}

static void test_half_made(void **state)
{
    _cleanup_(freep) char *runtime = path_in_root("/run/user");
    PodmanUser user = { .uid = 1000, .runtime_dir = runtime };
    usec_t now = realtime_usec(), later = now + USEC_PER_MINUTE;
    _cleanup_(strv_freep) char **files = rootless_netns_files(&user, "/home/tc/.local/share/containers/storage");

    (void) state;
    assert_int_equal(strv_length(files), 2);
    /* printf %s /home/tc/.local/share/containers/storage/libpod | sha256sum */
    assert_true(str_ends(files[0], "/run/user/netns/rootless-netns-d145ae0bcd1d0284a9b8"));
    assert_true(str_ends(files[1], "/run/user/containers/networks/rootless-netns/rootless-netns"));
    for (int i = 0; i < 2; i++) {
        const char *const before[] = { "netns", "containers/networks/rootless-netns" }, *const last[] = {
            "libpod/tmp/rootless-netns/run/systemd", "containers/networks/rootless-netns/resolv.conf"
        };
        _cleanup_(freep) char *found = NULL, *done = NULL;

        make(&user, before[i], true);
        assert_null(rootless_netns_half_made(&user, "/home/tc/.local/share/containers/storage", later));
        make(&user, files[i] + strlen(runtime) + 1, false);
        /* podman may be at it */
        assert_null(rootless_netns_half_made(&user, "/home/tc/.local/share/containers/storage", now));
        found = rootless_netns_half_made(&user, "/home/tc/.local/share/containers/storage", later);
        assert_string_equal(found, files[i]);
        if (i == 0)
            assert_null(rootless_netns_half_made(&user, "/srv/another/store", later));
        make(&user, last[i], i == 0);
        done = rootless_netns_half_made(&user, "/home/tc/.local/share/containers/storage", later);
        assert_null(done);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sentences),
        cmocka_unit_test_setup_teardown(test_half_made, agent_root_make, agent_root_remove),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

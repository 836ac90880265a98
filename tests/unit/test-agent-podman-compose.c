/* SPDX-License-Identifier: MIT */
/* What each podman-compose says of itself, and what it is then told to do. */
#include "tests/unit/agent-root.h"

#include <errno.h>

#include "mgmt-agent/worker/podman/podman-compose.h"

static void test_versions(void **state)
{
    static const struct {
        const char *text, *version; /* NULL: not a version */
        DriverStrategy strategy;
        bool has_in_pod;
    } cases[] = {
        { "['podman', '--version', '']\nusing podman version: 4.3.1\npodman-composer version  1.0.3\n"
          "podman --version \npodman version 4.3.1\nexit code: 0\n",
          "1.0.3", STRATEGY_CLASSIC, false },
        { "podman-compose version: 1.0.6\n['podman', '--version', '']\nusing podman version: 4.3.1\n", "1.0.6",
          STRATEGY_CLASSIC, true },
        { "podman-compose version 1.3.0\npodman version 5.4.2\n", "1.3.0", STRATEGY_MODERN, true },
        { "podman-compose version: 1.0.5", "1.0.5", STRATEGY_CLASSIC, false },
        { "podman-compose version: 1.0.10\n", "1.0.10", STRATEGY_CLASSIC, true },
        { "podman-compose version: 1.1.0\n", "1.1.0", STRATEGY_MODERN, true },
        { "podman-compose version: 2.0.1\n", "2.0.1", STRATEGY_MODERN, true },
        { "podman-compose 1.2.3", "1.2.3", STRATEGY_MODERN, true },
        { "podman-compose version: 1.0.6-dev\n", "1.0.6", STRATEGY_CLASSIC, true },
        { "", NULL, 0, false },
        { "podman-compose\n", NULL, 0, false },
        { "podman-compose version: 1.0\n", NULL, 0, false },
        { "podman-compose version: one\n1.0.3\n", NULL, 0, false },
        { "podman version 4.3.1\n", NULL, 0, false },
        { "docker-compose version 1.29.2\n", NULL, 0, false },
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        DriverStrategy strategy = STRATEGY_MODERN;
        _cleanup_(freep) char *version = NULL;
        bool has_in_pod = false;
        int r = driver_parse_version(cases[i].text, &version, &strategy, &has_in_pod);

        if ((r == 0) != (cases[i].version != NULL) || (r < 0 && r != -EINVAL))
            fail_msg("%s: %d", cases[i].text, r);
        if (r < 0)
            continue;
        assert_string_equal(version, cases[i].version);
        if (strategy != cases[i].strategy || has_in_pod != cases[i].has_in_pod)
            fail_msg("%s: strategy %d, in-pod %d", version, strategy, has_in_pod);
    }
}

static void test_reasons(void **state)
{
    static const struct {
        const char *output, *reason; /* NULL: none is given */
    } cases[] = {
        { "['podman', 'network', 'exists', 'box_default']\npodman run --name=box_db_1 -d\n"
          "time=\"2026-11-29\" level=error msg=\"failed to move the rootless netns slirp4netns process\"\n"
          "Error: netavark: No such file or directory (os error 2)\nexit code: 126\npodman start box_db_1\n"
          "Error: unable to start container \"1f\": netavark: iptables is missing\nexit code: 125",
          "unable to start container \"1f\": netavark: iptables is missing" },
        { "time=\"2026\" level=error msg=\"first\"\ntime=\"2026\" level=error msg=\"second\"\nexit code: 1",
          "\"second\"" },
        { "Error: the first word wins over the logger\ntime=\"2026\" level=error msg=\"x\"",
          "the first word wins over the logger" },
        { "exit code: 0\n", NULL },
        { "Error: \nexit code: 1", NULL },
        { "", NULL },
        { NULL, NULL },
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(freep) char *reason = driver_reason(cases[i].output);

        if (!str_equal(reason, cases[i].reason))
            fail_msg("%s: %s", cases[i].output, reason ? reason : "nothing");
    }
}

static void assert_argv(const Driver *d, bool with_args, const char *wanted)
{
    char *args[] = { "--stop-timeout=30", "'--health-cmd=CMD a'", NULL };
    char **argv = driver_argv_up(d, "box", "/run/x y/web.yml", "/run/x y/web.env", with_args ? args : NULL);
    _cleanup_(freep) char *joined = strv_join(argv, "|");

    assert_string_equal(joined, wanted);
    strv_free(argv);
}

static void test_argv(void **state)
{
    char program[] = "/usr/bin/podman-compose";
    Driver d = { .program = program, .strategy = STRATEGY_CLASSIC };

    (void) state;
    assert_argv(&d, false, "/usr/bin/podman-compose|-p|box|-f|/run/x y/web.yml|up|-d");
    d.has_in_pod = true;
    assert_argv(&d, false, "/usr/bin/podman-compose|-p|box|-f|/run/x y/web.yml|--in-pod=|up|-d");
    d.strategy = STRATEGY_MODERN;
    assert_argv(&d, false,
                "/usr/bin/podman-compose|-p|box|-f|/run/x y/web.yml|--in-pod=|"
                "--podman-run-args=--env-file=/run/x y/web.env|up|-d");
    assert_argv(&d, true,
                "/usr/bin/podman-compose|-p|box|-f|/run/x y/web.yml|--in-pod=|"
                "--podman-run-args=--env-file=/run/x y/web.env|--podman-run-args=--stop-timeout=30|"
                "--podman-run-args='--health-cmd=CMD a'|up|-d");
}

/* Writes a podman-compose of ours that says `version`. */
static void write_program(const char *path, const char *version)
{
    _cleanup_(freep) char *text = str_format("#!/bin/sh\necho called >>\"$0.calls\"\necho \"%s\"\n", version);

    assert_int_equal(file_write_atomic(path, text, strlen(text), 0755, (uid_t) -1, (gid_t) -1, NULL), 0);
}

static size_t calls_of(const char *path)
{
    _cleanup_(freep) char *calls_path = str_format("%s.calls", path);
    _cleanup_(freep) char *text = NULL;
    size_t n = 0;

    if (file_read(calls_path, 4096, &text, NULL, NULL) < 0)
        return 0;
    for (const char *p = text; *p; p++)
        n += *p == '\n';
    return n;
}

static void test_probe_asks_once(void **state)
{
    _cleanup_(freep) char *path = path_in_root("/compose-program");
    char *env[] = { NULL };
    PodmanUser user = { .uid = geteuid(), .gid = getegid(), .env = env };
    _cleanup_(error_done) Error err = {};
    Driver d = {};

    (void) state;
    assert_int_equal(driver_probe(path, &user, &d, &err), -ENOENT);
    assert_string_equal(error_id(&err), "compose-driver.missing");
    error_done(&err);

    write_program(path, "podman-compose version: 1.3.0");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(driver_probe(path, &user, &d, NULL), 0);
        assert_string_equal(d.version, "1.3.0");
        assert_string_equal(d.program, path);
        assert_true(d.strategy == STRATEGY_MODERN && d.has_in_pod);
        driver_done(&d);
    }
    assert_int_equal(calls_of(path), 1);

    /* another program at the same place */
    write_program(path, "podman-compose version: 1.0.6 ");
    assert_int_equal(driver_probe(path, &user, &d, NULL), 0);
    assert_true(d.strategy == STRATEGY_CLASSIC && d.has_in_pod);
    driver_done(&d);
    assert_int_equal(calls_of(path), 2);

    /* a cache that is no cache */
    agent_root_write(RUN_DIR "/podman-compose.json", "{\"stamp\":1,\"version\":");
    assert_int_equal(driver_probe(path, &user, &d, NULL), 0);
    driver_done(&d);
    assert_int_equal(calls_of(path), 3);

    write_program(path, "something else entirely");
    assert_int_equal(driver_probe(path, &user, &d, &err), -EINVAL);
    assert_string_equal(error_id(&err), "compose-driver.unknown-version");
    assert_null(d.program);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_reasons),
        cmocka_unit_test(test_argv),
        cmocka_unit_test(test_probe_asks_once),
    };

    return cmocka_run_group_tests(tests, agent_root_make, agent_root_remove);
}

/* SPDX-License-Identifier: MIT */
/* Which HTTP-like status a failure has; and what the phases' own errors make of it. */
#include "tests/unit/agent-root.h"

#include <errno.h>

#include "mgmt-agent/worker/phases/check-file.h"
#include "mgmt-agent/worker/phases/result.h"

static void test_status(void **state)
{
    static const struct {
        const char *phase, *id;
        int status;
    } cases[] = {
        /* SPEC §4: 400 malformed; 409 older; 422 content refused; 503 not ready; 507 no space; 500 the rest */
        { "verify", "snapshot.older-version", 409 },
        { "verify", "snapshot.too-large", 400 },
        { "verify", "snapshot.bad-version", 400 },
        { "verify", "snapshot.bad-time", 400 },
        { "verify", "snapshot.wrong-device", 422 },
        { "verify", "snapshot.expired", 422 },
        { "verify", "env.missing-keys", 503 },
        { "verify", "store.read", 500 },
        { "parse", "yaml.syntax", 400 },
        { "parse", "compose.unknown-key", 422 },
        { "policy", "policy.refused", 422 },
        { "policy", "yaml.too-deep", 400 },
        { "secbox-env-ensure", "env.missing-keys", 503 },
        { "secbox-env-ensure", "file.write", 503 },
        { "secbox-env-ensure", "podman.no-user", 503 },
        { "secbox-env-sanity", "env.bad-value", 422 },
        { "secbox-env-missing-keys", "env.missing-keys", 422 },
        { "render", "interpolate.unset", 422 },
        { "render", "render.too-large", 422 },
        { "preflight", "preflight.no-space", 507 },
        { "preflight", "preflight.port-in-use", 422 },
        { "preflight", "plan.conflict", 422 },
        { "preflight", "podman.no-runtime-dir", 503 },
        { "preflight", "podman.unreachable", 503 },
        { "preflight", "podman.timeout", 503 },
        { "preflight", "compose-driver.missing", 503 },
        { "pull", "image.missing", 422 },
        { "pull", "pull.failed", 500 },
        { "pull", "podman.refused", 500 },
        { "apply", "apply.not-started", 500 },
        { "prove", "prove.not-running", 500 },
        { "confirm", "confirm.deadline", 500 },
        { "apply", "system.error", 500 },
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(error_done) Error err = {};
        int status;

        error_set(&err, EIO, cases[i].id, "reason");
        status = deploy_status_for(cases[i].phase, &err);
        if (status != cases[i].status)
            fail_msg("%s in %s: %d instead of %d", cases[i].id, cases[i].phase, status, cases[i].status);
    }
    assert_int_equal(deploy_status_for("apply", &(Error) {}), 500);
    assert_int_equal(deploy_status_for("parse", &(Error) {}), 400);
}

static void test_a_prefix_ends_at_its_dot(void **state)
{
    /* a prefix is not a longer word */
    static const char *const others[] = { "snapshots.x", "yamlish", "podmanx.timeout", "environment.x" };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(others); i++) {
        _cleanup_(error_done) Error err = {};

        error_set(&err, EIO, others[i], "reason");
        assert_int_equal(deploy_status_for("apply", &err), 500);
    }
}

static Deploy deploy_for(const char *text, bool from_cloud)
{
    Deploy d = { .order.from_cloud = from_cloud };

    d.report.id = strdup("d-1");
    d.report.version = strdup(from_cloud ? "7" : "local-7");
    d.order.text = strdup(text);
    return d;
}

/* The phases that touch nothing, with their own errors, to the status that the cloud sees. */
static void test_verify(void **state)
{
    static const struct {
        const char *message, *version, *id;
        int status;
    } cases[] = {
        { "{\"deviceId\":\"box1\"}", "7", NULL, 0 },
        { "{\"deviceId\":\"box1\"}", "7", "snapshot.older-version", 409 }, /* the floor is 7 now */
        { "{\"deviceId\":\"box1\"}", "6", "snapshot.older-version", 409 },
        { "{\"deviceId\":\"box1\"}", "0", "snapshot.bad-version", 400 },
        { "{\"deviceId\":\"box1\"}", "-8", "snapshot.bad-version", 400 },
        { "{\"deviceId\":\"box1\"}", "local-8", "snapshot.bad-version", 400 },
        { "{\"deviceId\":\"box1\"}", "18446744073709551616", "snapshot.bad-version", 400 },
        { "{\"deviceId\":\"box2\"}", "8", "snapshot.wrong-device", 422 },
        { "{}", "8", "snapshot.wrong-device", 422 },
        { "{\"deviceId\":\"box1\",\"signatures\":{}}", "8", "snapshot.bad-signatures", 400 },
        { "{\"deviceId\":\"box1\",\"expiresAt\":\"2020-01-01T00:00:00.000Z\"}", "8", "snapshot.expired", 422 },
        { "{\"deviceId\":\"box1\",\"expiresAt\":\"soon\"}", "8", "snapshot.bad-time", 400 },
        { "{\"deviceId\":\"box1\",\"confirmDeadlineSeconds\":0}", "8", "snapshot.bad-deadline", 400 },
        { "{\"deviceId\":\"box1\",\"confirmDeadlineSeconds\":3601}", "8", "snapshot.bad-deadline", 400 },
        { "{\"deviceId\":\"box1\",\"confirmDeadlineSeconds\":\"x\"}", "8", "snapshot.bad-deadline", 400 },
        { "{\"deviceId\":\"box1\",\"confirmDeadlineSeconds\":3600,\"expiresAt\":\"2999-01-01T00:00:00.000Z\"}", "8",
          NULL, 0 },
    };

    (void) state;
    agent_root_write(AGENT_ENV_PATH,
                     "CLOUD_BASE_URL=https://cloud.example\nDEVICE_ID=box1\nBOOTSTRAP=0123456789abcdef\n"
                     "MGMT_GATEWAY_URL=wss://cloud.example/mgmt\n");
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(deploy_done) Deploy d = deploy_for("services:\n", true);
        _cleanup_(cJSON_Deletep) cJSON *message = json_of(cases[i].message);
        _cleanup_(error_done) Error err = {};
        int r;

        free(d.report.version);
        d.report.version = strdup(cases[i].version);
        r = deploy_verify(&d.order, &d.box, &d.report, message, &err);
        if ((r == 0) != (cases[i].id == NULL) || (r < 0 && !str_equal(error_id(&err), cases[i].id)))
            fail_msg("case %zu: %d %s", i, r, error_message(&err, r));
        if (r < 0)
            assert_int_equal(deploy_status_for(d.report.phase, &err), cases[i].status);
        else
            assert_int_equal(strlen(d.order.sha256), 64);
    }
}

static void test_too_large_comes_first(void **state)
{
    _cleanup_(freep) char *text = malloc(YAML_SIZE_MAX + 2);
    _cleanup_(error_done) Error err = {};
    _cleanup_(cJSON_Deletep) cJSON *message = json_of("{}");

    (void) state;
    memset(text, ' ', YAML_SIZE_MAX + 1);
    text[YAML_SIZE_MAX + 1] = '\0';
    {
        _cleanup_(deploy_done) Deploy d = deploy_for(text, true);

        assert_true(deploy_verify(&d.order, &d.box, &d.report, message, &err) < 0);
        assert_string_equal(error_id(&err), "snapshot.too-large");
        assert_int_equal(deploy_status_for(d.report.phase, &err), 400);
    }
}

/* secbox.env is made once, from what the box knows, and an existing one is left alone to the byte. */
static void test_env_ensure(void **state)
{
    static const char *const theirs[] = { "A=1\n", "# only a remark\n", "DEVICE_ID=\n" };
    bool created = false;

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(theirs); i++) {
        _cleanup_(deploy_done) Deploy d = deploy_for("services:\n", true);
        _cleanup_(freep) char *text = NULL;

        agent_root_write(SECBOX_ENV_PATH, theirs[i]);
        assert_int_equal(deploy_env_ensure(&d.box, &d.report, &created, NULL), 0);
        assert_false(created);
        text = agent_root_read(SECBOX_ENV_PATH);
        assert_string_equal(text, theirs[i]);
    }
    for (int empty = 0; empty < 3; empty++) {
        static const char *const nothing[] = { NULL, "", " \t\r\n\n" };
        _cleanup_(deploy_done) Deploy d = deploy_for("services:\n", true);
        _cleanup_(freep) char *path = path_in_root(SECBOX_ENV_PATH);
        _cleanup_(freep) char *text = NULL;
        struct stat st;

        /* as the caller itself, so that the test needs no other user */
        d.box.user = (PodmanUser) { .name = strdup("me"), .uid = geteuid(), .gid = getegid() };
        agent_root_write(SECBOX_ENV_PATH, nothing[empty]);
        assert_int_equal(deploy_env_ensure(&d.box, &d.report, &created, NULL), 0);
        assert_true(created);
        text = agent_root_read(SECBOX_ENV_PATH);
        assert_non_null(strstr(text, "DEVICE_ID=box1\n"));
        assert_non_null(strstr(text, "DEVICE_GATEWAY_URL=wss://cloud.example/device\n"));
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_status),     cmocka_unit_test(test_a_prefix_ends_at_its_dot),
        cmocka_unit_test(test_verify),     cmocka_unit_test(test_too_large_comes_first),
        cmocka_unit_test(test_env_ensure),
    };

    return cmocka_run_group_tests(tests, agent_root_make, agent_root_remove);
}

/* SPDX-License-Identifier: MIT */
/* The shipped compose file goes all the way from text to podman-compose with nothing but a fresh secbox.env.
 */
#include "tests/unit/compose-project.h"

#include <errno.h>

#include "compose/gather/gather.h"
#include "compose/policy/policy.h"
#include "compose/render/render.h"
#include "lib/base/fileio.h"
#include "lib/base/limits.h"

#define EXAMPLE "compose/examples/secbox.yml"
#define EXAMPLE_POLICY "compose/examples/policy.json"

/* what the agent derives from mgmt-agent.env */
static const char *fresh_env(const char *key, void *userdata _unused_)
{
    static const char *const pairs[][2] = {
        { "CLOUD_BASE_URL", "https://cloud.example" },
        { "DEVICE_ID", "caseta5" },
        { "BOOTSTRAP", "bootstrap-token" },
        { "DEVICE_GATEWAY_URL", "wss://cloud.example/device" },
    };

    for (size_t i = 0; i < ELEMENTSOF(pairs); i++)
        if (str_equal(pairs[i][0], key))
            return pairs[i][1];
    return NULL;
}

static const char *no_env(const char *key _unused_, void *userdata _unused_)
{
    return NULL;
}

static const char *image_of(const char *service, void *userdata)
{
    return compose_service_find(userdata, service)->image;
}

static ComposeFile *load(void)
{
    _cleanup_(error_done) Error err = {};
    _cleanup_(freep) char *text = NULL;
    ComposeFile *f = NULL;
    size_t len = 0;
    int r = file_read(EXAMPLE, YAML_SIZE_MAX, &text, &len, &err);

    assert_int_equal(r, 0);
    r = compose_parse(text, len, EXAMPLE, &f, &err);
    if (r < 0)
        fail_msg("line %u: %s", err.line, error_message(&err, r));
    return f;
}

static void ships_as_it_is(void **state _unused_)
{
    const ComposeResolveOptions options = { .project = "secbox", .base_dir = "/stage", .lookup = fresh_env };
    _cleanup_(error_done) Error err = {};
    _cleanup_(compose_file_freep) ComposeFile *f = load();
    _cleanup_(compose_project_freep) ComposeProject *p = NULL;
    _cleanup_(policy_freep) ComposePolicy *policy = NULL;
    _cleanup_(freep) char *text = NULL;
    RenderOptions render = { .version = "1", .image = image_of };
    int r = policy_parse(NULL, 0, NULL, &policy, &err);

    r = r < 0 ? r : compose_policy_check(f, policy, &err);
    r = r < 0 ? r : compose_resolve(f, &options, &p, &err);
    r = r < 0 ? r : compose_policy_check_project(p, policy, EXAMPLE, &err);
    render.userdata = p;
    r = r < 0 ? r : compose_render(p, &render, &text, &err);
    if (r < 0)
        fail_msg("%s line %u %s: %s", error_id(&err), err.line, err.key ? err.key : "", error_message(&err, r));
    assert_int_equal(p->n_services, 3);
    assert_null(strstr(text, "${"));
    assert_null(strstr(text, "bootstrap-token"));
    for (size_t i = 0; i < p->n_services; i++) {
        _cleanup_(secret_freep) char *env = NULL;

        assert_string_equal(p->services[i].restart, "always");
        assert_int_equal(compose_render_env(&p->services[i], &env, &err), 0);
    }
}

static void asks_for_no_more_than_the_agent_derives(void **state _unused_)
{
    _cleanup_(error_done) Error err = {};
    _cleanup_(compose_file_freep) ComposeFile *f = load();
    _cleanup_(strv_freep) char **keys = NULL;
    _cleanup_(freep) char *joined = NULL;

    assert_int_equal(compose_required_keys(f, no_env, NULL, &keys, &err), 0);
    joined = strv_join(keys, " ");
    assert_string_equal(joined, "CLOUD_BASE_URL DEVICE_GATEWAY_URL DEVICE_ID");
}

static void ships_as_it_is_with_the_shipped_policy(void **state _unused_)
{
    const ComposeResolveOptions options = { .project = "secbox", .base_dir = "/stage", .lookup = fresh_env };
    _cleanup_(error_done) Error err = {};
    _cleanup_(freep) char *text = NULL;
    _cleanup_(policy_freep) ComposePolicy *policy = NULL;
    _cleanup_(compose_file_freep) ComposeFile *f = load();
    _cleanup_(compose_project_freep) ComposeProject *p = NULL;
    size_t len = 0;
    int r = file_read(EXAMPLE_POLICY, JSON_SIZE_MAX, &text, &len, &err);

    r = r < 0 ? r : policy_parse(text, len, EXAMPLE_POLICY, &policy, &err);
    r = r < 0 ? r : compose_policy_check(f, policy, &err);
    r = r < 0 ? r : compose_resolve(f, &options, &p, &err);
    r = r < 0 ? r : compose_policy_check_project(p, policy, EXAMPLE, &err);
    if (r < 0)
        fail_msg("%s: %s", error_id(&err), error_message(&err, r));
    assert_true(policy_allows_bind(policy, "web", "/var/lib/tucomunidad/volumes/web", false));
    assert_false(policy_allows_bind(policy, "web", "/var/lib/tucomunidad/volumes", false));
    /* a link on Debian */
    assert_true(policy_allows_link(policy, "secbox", "/etc/localtime", "/usr/share/zoneinfo/Europe/Madrid", true));
}

static int read_example(const char *path, char **ret, size_t *ret_len, void *userdata _unused_, Error *err)
{
    return file_read(path, YAML_SIZE_MAX, ret, ret_len, err);
}

/* With Frigate beside it, by the shipped policy. */
static void ships_with_cameras(void **state _unused_)
{
    static char *const files[] = { (char *) EXAMPLE, NULL }, *const profiles[] = { (char *) "cameras", NULL };
    const GatherOptions gather = { .files = files, .profiles = profiles };
    const GatherSource source = { .read = read_example };
    const ComposeResolveOptions options = { .project = "secbox", .base_dir = "/stage", .lookup = fresh_env };
    _cleanup_(error_done) Error err = {};
    _cleanup_(gathered_done) Gathered g = {};
    _cleanup_(freep) char *text = NULL;
    _cleanup_(policy_freep) ComposePolicy *policy = NULL;
    _cleanup_(compose_file_freep) ComposeFile *f = NULL;
    _cleanup_(compose_project_freep) ComposeProject *p = NULL;
    size_t len = 0;
    int r = file_read(EXAMPLE_POLICY, JSON_SIZE_MAX, &text, &len, &err);

    r = r < 0 ? r : policy_parse(text, len, EXAMPLE_POLICY, &policy, &err);
    r = r < 0 ? r : compose_gather(&gather, &source, &g, &err);
    r = r < 0 ? r : compose_parse(g.text, g.len, EXAMPLE, &f, &err);
    r = r < 0 ? r : compose_policy_check(f, policy, &err);
    r = r < 0 ? r : compose_resolve(f, &options, &p, &err);
    r = r < 0 ? r : compose_policy_check_project(p, policy, EXAMPLE, &err);
    if (r < 0)
        fail_msg("%s line %u %s: %s", error_id(&err), err.line, err.key ? err.key : "", error_message(&err, r));
    assert_int_equal(p->n_services, 4);
    assert_null(compose_service_find(p, "frigate")->host_ports);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ships_as_it_is),
        cmocka_unit_test(asks_for_no_more_than_the_agent_derives),
        cmocka_unit_test(ships_as_it_is_with_the_shipped_policy),
        cmocka_unit_test(ships_with_cameras),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

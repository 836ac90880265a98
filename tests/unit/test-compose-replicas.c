/* SPDX-License-Identifier: MIT */
/* Services that run more than once: each container is a service of its own in all but the file and the policy. */
#include <setjmp.h>
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "compose/compose.h"
#include "compose/plan/plan.h"
#include "compose/policy/policy.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "tests/unit/resolve-text.h"

static const char *lookup(const char *key, void *userdata _unused_)
{
    return str_equal(key, "COUNT") ? "3" : NULL;
}

static const ComposeResolveOptions resolve_options = { .project = "box", .base_dir = "/srv/box", .lookup = lookup };

static ComposeProject *resolve_good(const char *text)
{
    return resolve_good_text(text, &resolve_options);
}

static const ComposeService *find(const ComposeProject *p, const char *name)
{
    const ComposeService *s = compose_service_find(p, name);

    if (!s)
        fail_msg("no service %s", name);
    return s;
}

static char *config_of(const ComposeService *s, const char *key)
{
    return json_print(cJSON_GetObjectItemCaseSensitive(s->config, key));
}

static void numbered_as_podman_compose_does(void **state _unused_)
{
    _cleanup_(compose_project_freep) ComposeProject *p =
        resolve_good("services:\n  web: {image: x, deploy: {replicas: '${COUNT}'}, networks: [b, a]}\n"
                     "  one: {image: x, scale: 1}\nnetworks: {a: , b: }\n");
    _cleanup_(freep) char *first = NULL, *third = NULL;

    assert_int_equal(p->n_services, 4);
    assert_string_equal(find(p, "web")->container_name, "box_web_1");
    assert_string_equal(find(p, "web_2")->container_name, "box_web_2");
    assert_string_equal(find(p, "web_3")->container_name, "box_web_3");
    assert_string_equal(find(p, "one")->container_name, "box_one_1");
    assert_null(find(p, "web")->replica_of);
    assert_string_equal(compose_declared_name(find(p, "web_3")), "web");
    first = config_of(find(p, "web"), "networks");
    third = config_of(find(p, "web_3"), "networks");
    assert_string_equal(first, "{\"a\":{},\"b\":{}}");
    assert_string_equal(third, "{\"a\":{\"aliases\":[\"web\"]},\"b\":{\"aliases\":[\"web\"]}}");
}

/* The same as podman-compose's own container of it: one more leaves the first one alone. */
static const char *some_image(const char *service _unused_, void *userdata _unused_)
{
    return "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
}

static void one_more_changes_nothing_else(void **state _unused_)
{
    _cleanup_(compose_project_freep) ComposeProject *before = resolve_good(
        "services:\n  web: {image: x, ports: ['8000-8009:80']}\n  b: {image: x, ports: ['8000-8009:80']}\n");
    _cleanup_(compose_project_freep) ComposeProject *after =
        resolve_good("services:\n  web: {image: x, ports: ['8000-8009:80'], scale: 2}\n"
                     "  b: {image: x, ports: ['8000-8009:80']}\n");

    assert_int_equal(compose_hash_services(before, some_image, NULL), 0);
    assert_int_equal(compose_hash_services(after, some_image, NULL), 0);
    assert_string_equal(find(before, "web")->config_hash, find(after, "web")->config_hash);
    assert_string_equal(find(before, "b")->config_hash, find(after, "b")->config_hash);
    assert_string_equal(find(after, "web")->host_ports[0], ":8000/tcp");
    assert_string_equal(find(after, "web_2")->host_ports[0], ":8002/tcp");
}

static void who_depends_on_it_depends_on_all(void **state _unused_)
{
    _cleanup_(compose_project_freep) ComposeProject *p = resolve_good(
        "services:\n  app: {image: x, depends_on: {web: {condition: service_healthy, restart: true}}}\n"
        "  web: {image: x, scale: 2, depends_on: [db]}\n  db: {image: x, links: [log]}\n  log: {image: x, scale: 2}\n");
    const ComposeService *app = find(p, "app");

    assert_int_equal(strv_length(app->depends_on), 2);
    assert_string_equal(json_string(app->depends_conditions, "web_2"), "service_healthy");
    assert_true(strv_contains(app->restarts_with, "web_2"));
    assert_true(strv_contains(find(p, "web_2")->depends_on, "db"));
    assert_true(strv_contains(find(p, "db")->depends_on, "log_2"));
    assert_true(app == &p->services[p->n_services - 1]);
}

static void volumes_without_a_name_are_its_own(void **state _unused_)
{
    _cleanup_(compose_project_freep) ComposeProject *p =
        resolve_good("services: {web: {image: x, scale: 2, volumes: [/data, 'v:/w', './d:/d']}}\nvolumes: {v: }\n");

    assert_string_equal(find(p, "web")->volumes[1], "web_data");
    assert_string_equal(find(p, "web_2")->volumes[1], "web_2_data");
    assert_string_equal(find(p, "web_2")->volumes[0], "v");
    assert_string_equal(find(p, "web_2")->bind_sources[0], "/srv/box/d");
}

/* The owner of the box has said what the service may, not each of its containers. */
static void the_policy_knows_the_service(void **state _unused_)
{
    static const char text[] = "{\"services\":{\"web\":{\"allow\":[\"cap_add:NET_ADMIN\"]}}}";
    _cleanup_(compose_project_freep) ComposeProject *p =
        resolve_good("services: {web: {image: x, scale: 2, cap_add: [NET_ADMIN]}}\n");
    _cleanup_(policy_freep) ComposePolicy *policy = NULL, *other = NULL;
    _cleanup_(error_done) Error err = {};

    assert_int_equal(policy_parse(text, strlen(text), "policy.json", &policy, NULL), 0);
    assert_int_equal(compose_policy_check_project(p, policy, "c.yml", NULL), 0);
    assert_int_equal(policy_parse(NULL, 0, NULL, &other, NULL), 0);
    assert_true(compose_policy_check_project(p, other, "c.yml", &err) < 0);
    assert_non_null(strstr(error_message(&err, -EPERM), "services.\"web\""));
}

static const struct {
    const char *text, *id, *key, *says;
} refused[] = {
    { "services: {web: {image: x, scale: 2, ports: ['127.0.0.1:8080:80']}}\n", "compose.replicas", "services.web.ports",
      "(\"127.0.0.1:8080-8081:80\"), or let podman choose (\"127.0.0.1::80\")" },
    { "services: {web: {image: x, scale: 3, ports: ['8000-8001:80-81']}}\n", "compose.replicas", NULL,
      "of the host; let podman choose (\"80\")" },
    { "services: {web: {image: x, scale: 2, ports: ['8080:80', '8081:81']}}\n", "compose.replicas", NULL,
      "of the host; let podman choose (\"80\")" },
    { "services: {web: {image: x, scale: 2, ports: ['127.0.0.1:65535:80']}}\n", "compose.replicas", NULL,
      "of the host; let podman choose (\"127.0.0.1::80\")" },
    { "services: {web: {image: x, scale: 2, ports: ['65534:80', '81']}}\n", "compose.replicas", NULL,
      "(\"65534-65535:80\"), or let podman choose (\"80\")" },
    { "services: {web: {image: x, scale: 2, ports: ['[::1]:53:53/udp']}}\n", "compose.replicas", NULL,
      "(\"[::1]:53-54:53/udp\"), or let podman choose (\"[::1]::53/udp\")" },
    { "services: {web: {image: x, scale: 3, ports: ['8000-8001:80']}}\n", "compose.bad-port", "services.web.ports",
      "too few" },
    { "services: {web: {image: x, scale: 2, container_name: w}}\n", "compose.replicas", "services.web.container_name",
      "remove `container_name`" },
    { "services: {web: {image: x, scale: 2, networks: {n: {ipv4_address: 10.1.0.2}}}}\n"
      "networks: {n: {ipam: {config: [{subnet: 10.1.0.0/24}]}}}\n",
      "compose.replicas", NULL, "10.1.0.2" },
    { "services: {web: {image: x, scale: 2}, web_2: {image: x}}\n", "compose.replicas", NULL, "rename one" },
    { "services: {web: {image: x, scale: 2}, a: {image: x, container_name: box_web_2}}\n",
      "compose.duplicate-container-name", NULL, NULL },
    { "services: {secbox: {image: x, scale: 2}}\n", "compose.replicas", NULL, "runs once" },
    { "services: {web: {image: x, scale: 2, deploy: {replicas: 3}}}\n", "compose.bad-value",
      "services.web.deploy.replicas", "scale: 2" },
    { "services: {web: {image: x, scale: -1}}\n", "compose.bad-value", "services.web.scale", NULL },
    { "services: {web: {image: x, scale: many}}\n", "compose.bad-value", "services.web.scale", "many" },
    { "services: {web: {image: x, scale: 60}, b: {image: x, scale: 6}}\n", "compose.replicas", NULL, "at most" },
};

static void what_containers_cannot_share(void **state _unused_)
{
    for (size_t i = 0; i < ELEMENTSOF(refused); i++) {
        _cleanup_(compose_project_freep) ComposeProject *p = NULL;
        _cleanup_(error_done) Error err = {};
        int r = resolve_text(refused[i].text, &resolve_options, &p, &err);

        if (r >= 0)
            fail_msg("%s: accepted", refused[i].text);
        if (!str_equal(error_id(&err), refused[i].id) || (refused[i].key && !str_equal(err.key, refused[i].key)) ||
            (refused[i].says && !strstr(error_message(&err, r), refused[i].says)) || err.line == 0)
            fail_msg("%s: %s at %s:%u: %s", refused[i].text, error_id(&err), err.key, err.line, error_message(&err, r));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbered_as_podman_compose_does),  cmocka_unit_test(one_more_changes_nothing_else),
        cmocka_unit_test(who_depends_on_it_depends_on_all), cmocka_unit_test(volumes_without_a_name_are_its_own),
        cmocka_unit_test(the_policy_knows_the_service),     cmocka_unit_test(what_containers_cannot_share),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

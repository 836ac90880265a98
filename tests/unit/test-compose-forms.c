/* SPDX-License-Identifier: MIT */
/* Whole services in forms that public compose files have: what becomes of each. */
#include <setjmp.h>
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "compose/compose.h"
#include "lib/base/buf.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "tests/unit/resolve-text.h"

static const char *lookup(const char *key, void *userdata)
{
    (void) key;
    (void) userdata;
    return NULL;
}

static ComposeProject *resolve_good(const char *text)
{
    const ComposeResolveOptions options = { .project = "box", .base_dir = "/srv/box", .lookup = lookup };

    return resolve_good_text(text, &options);
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

/* Files that were written for a swarm: what counts on one machine counts, and the rest says nothing to it. */
static void test_what_a_swarm_would_read(void **state)
{
    _cleanup_(compose_project_freep) ComposeProject *p = resolve_good(
        "services:\n"
        "  a: {image: x, restart: always, deploy: {mode: global, placement: {constraints: [node.role == manager]},\n"
        "      update_config: {parallelism: 2}, rollback_config: {}, endpoint_mode: vip, labels: {l: v},\n"
        "      restart_policy: {condition: on-failure, max_attempts: 3, delay: 5s},\n"
        "      resources: {limits: {pids: 50}, reservations: {cpus: '0.5'}}}}\n"
        "  b: {image: x, restart: always, deploy: {restart_policy: {condition: none}}}\n"
        "  c: {image: x, deploy: {restart_policy: {max_attempts: 0}}}\n");

    (void) state;
    assert_string_equal(p->services[0].restart, "on-failure:3");
    assert_string_equal(json_string(p->services[0].config, "restart"), "on-failure:3");
    assert_string_equal(json_string(p->services[0].config, "pids_limit"), "50");
    assert_null(cJSON_GetObjectItem(p->services[0].config, "labels"));
    assert_string_equal(p->services[1].restart, "no");
    assert_string_equal(p->services[2].restart, "always");
}

/* Of a network card, on the service's only network or on the one that it is written at. */
static void test_addresses_of_network_cards(void **state)
{
    _cleanup_(compose_project_freep) ComposeProject *p =
        resolve_good("services:\n  a: {image: x, mac_address: '02:42:AC:11:65:43', platform: linux/x86_64}\n"
                     "  b: {image: x, networks: {n: {mac_address: '02:42:ac:11:65:44'}, o: }}\nnetworks: {n: , o: }\n");
    const cJSON *a = cJSON_GetObjectItem(p->services[0].config, "networks"),
                *b = cJSON_GetObjectItem(p->services[1].config, "networks");

    (void) state;
    assert_string_equal(json_string(a->child, "mac_address"), "02:42:ac:11:65:43");
    assert_string_equal(json_string(b->child, "mac_address"), "02:42:ac:11:65:44");
    assert_null(cJSON_GetObjectItem(b->child->next, "mac_address"));
    assert_string_equal(json_string(p->services[0].config, "platform"), "linux/amd64");
}

static void test_what_cannot_be_so(void **state)
{
    static const struct {
        const char *service, *id, *key, *says;
    } cases[] = {
        { "mac_address: '01:00:5e:00:00:01'", "compose.bad-value", "services.a.mac_address", "network card" },
        { "mac_address: '2:42:ac:11:65:43'", "compose.bad-value", "services.a.mac_address", "network card" },
        { "mac_address: '02:42:ac:11:65:43', network_mode: host", "compose.network-mode", "services.a.mac_address",
          "without networks" },
        { "mac_address: '02:42:ac:11:65:43', networks: [n, o]", "compose.network-mode", "services.a.mac_address",
          "under one of them" },
        { "platform: windows/amd64", "compose.bad-value", "services.a.platform", "linux/amd64" },
        { "deploy: {restart_policy: {condition: often}}", "compose.bad-value",
          "services.a.deploy.restart_policy.condition", "often" },
        { "deploy: {restart_policy: {max_attempts: 3}}", "compose.bad-value",
          "services.a.deploy.restart_policy.max_attempts", "`condition: on-failure` alone" },
        { "deploy: {restart_policy: {condition: none, max_attempts: 3}}", "compose.bad-value",
          "services.a.deploy.restart_policy.max_attempts", "`condition: on-failure` alone" },
        { "pids_limit: 5, deploy: {resources: {limits: {pids: 6}}}", "compose.bad-value",
          "services.a.deploy.resources.limits.pids", "pids_limit" },
    };
    const ComposeResolveOptions options = { .project = "box", .base_dir = "/srv/box", .lookup = lookup };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(freep) char *text =
            str_format("services: {a: {image: x, %s}}\nnetworks: {n: , o: }\n", cases[i].service);
        _cleanup_(compose_file_freep) ComposeFile *f = NULL;
        _cleanup_(compose_project_freep) ComposeProject *p = NULL;
        _cleanup_(error_done) Error err = {};
        int r = compose_parse(text, strlen(text), "c.yml", &f, &err);

        r = r < 0 ? r : compose_resolve(f, &options, &p, &err);
        if (r >= 0 || !str_equal(error_id(&err), cases[i].id) || !str_equal(err.key, cases[i].key) ||
            !strstr(error_message(&err, r), cases[i].says))
            fail_msg("%s: %s at %s: %s", text, error_id(&err), err.key, error_message(&err, r));
    }
}

/* A box that goes back to it gets what it had; what endangers it is refused all the same. */
static void test_what_a_box_has_run_is_taken_as_it_was(void **state)
{
    static const struct {
        const char *service, *restart;
    } cases[] = { { "deploy: {restart_policy: {max_attempts: 3}}", "always" },
                  { "deploy: {restart_policy: {condition: none, max_attempts: 3}}", "no" },
                  { "deploy: {restart_policy: {condition: on-failure, max_attempts: 3}}", "on-failure:3" },
                  { "oom_score_adj: -1000", NULL } };
    const ComposeResolveOptions options = {
        .project = "box", .base_dir = "/srv/box", .lookup = lookup, .ran_before = true
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(freep) char *text = str_format("services: {a: {image: x, %s}}\n", cases[i].service);
        _cleanup_(compose_file_freep) ComposeFile *f = NULL;
        _cleanup_(compose_project_freep) ComposeProject *p = NULL;

        assert_int_equal(compose_parse(text, strlen(text), "c.yml", &f, NULL), 0);
        assert_int_equal(compose_resolve(f, &options, &p, NULL) < 0, !cases[i].restart);
        if (cases[i].restart)
            assert_string_equal(p->services[0].restart, cases[i].restart);
    }
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

static void assert_member(const ComposeProject *p, const char *service, const char *key, const char *wanted)
{
    const cJSON *member = cJSON_GetObjectItemCaseSensitive(compose_service_find(p, service)->config, key);
    _cleanup_(freep) char *text = member ? json_print(member) : strdup("nothing");

    assert_string_equal(text, wanted);
}

/* Podman has no links: who is linked to gets the name, where both can see it. */
static void test_links_are_aliases(void **state)
{
    _cleanup_(compose_project_freep) ComposeProject *p =
        resolve_good("services:\n  a: {image: x, links: [db, 'db:database', off], networks: [n, m]}\n"
                     "  db: {image: x, networks: {n: {aliases: [own]}, o: }}\n  off: {image: x, scale: 0}\n"
                     "networks: {n: , m: , o: }\n");

    (void) state;
    assert_string_equal(p->services[0].name, "db");
    assert_string_equal(p->services[1].depends_on[0], "db");
    assert_member(p, "db", "networks", "{\"n\":{\"aliases\":[\"database\",\"own\"]},\"o\":{}}");
    assert_member(p, "a", "links", "nothing");
}

static void test_volumes_without_a_name(void **state)
{
    _cleanup_(compose_project_freep) ComposeProject *p = resolve_good(
        "services:\n  a: {image: x, volumes: [/var/lib/a b, {type: volume, target: /d, read_only: true}]}\n");

    (void) state;
    assert_member(p, "a", "volumes",
                  "[{\"type\":\"volume\",\"source\":\"a_var-lib-a-b\",\"target\":\"/var/lib/a b\",\"read_only\":false},"
                  "{\"type\":\"volume\",\"source\":\"a_d\",\"target\":\"/d\",\"read_only\":true}]");
    assert_string_equal(json_string(cJSON_GetObjectItem(p->volumes, "a_d"), "name"), "box_a_d");
    assert_true(strv_contains(p->services[0].volumes, "a_d"));
}

static void test_gpus_are_devices(void **state)
{
    _cleanup_(compose_project_freep) ComposeProject *p =
        resolve_good("services:\n  a: {image: x, gpus: all}\n"
                     "  b: {image: x, devices: [/dev/z], deploy: {resources: {reservations: {devices: "
                     "[{driver: nvidia, count: 2, capabilities: [gpu]}]}}}}\n"
                     "  c: {image: x, gpus: [{driver: nvidia, device_ids: ['3', GPU-7]}, {driver: cdi, device_ids: "
                     "[v.example/c=n]}]}\n");

    (void) state;
    assert_member(p, "a", "devices", "[\"nvidia.com/gpu=all\"]");
    assert_member(p, "b", "devices", "[\"/dev/z:/dev/z:rwm\",\"nvidia.com/gpu=0\",\"nvidia.com/gpu=1\"]");
    assert_member(p, "c", "devices", "[\"nvidia.com/gpu=3\",\"nvidia.com/gpu=GPU-7\",\"v.example/c=n\"]");
}

/* Who shares something with another service goes with it. */
static void test_what_is_shared(void **state)
{
    _cleanup_(compose_project_freep) ComposeProject *p =
        resolve_good("services:\n  a: {image: x, pid: 'service:b', ipc: 'service:c'}\n  b: {image: x}\n"
                     "  c: {image: x, network_mode: 'service:b'}\n  d: {image: x, pid: 'container:b'}\n");
    char *const b[] = { (char *) "b", NULL }, *const c[] = { (char *) "c", NULL };
    const ComposeService *a = compose_service_find(p, "a");

    (void) state;
    assert_true(strv_contains(a->restarts_with, "b") && strv_contains(a->restarts_with, "c"));
    assert_true(compose_lives_in(p, a, b) && compose_lives_in(p, a, c));
    assert_true(compose_lives_in(p, compose_service_find(p, "c"), b));
    assert_false(compose_lives_in(p, compose_service_find(p, "d"), b));
    assert_string_equal(compose_shared_container(p, a, "ipc"), "box_c_1");
    assert_string_equal(compose_shared_container(p, compose_service_find(p, "d"), "pid"), "b");
    assert_null(compose_shared_container(p, a, "network_mode"));
}

static void test_how_often_a_check_looks_at_first(void **state)
{
    _cleanup_(compose_project_freep) ComposeProject *p =
        resolve_good("services:\n  a: {image: x, healthcheck: {test: a, start_interval: 2s}}\n");

    (void) state;
    assert_string_equal(json_string(p->services[0].healthcheck, "start_interval_usec"), "2000000");
}

static bool is_nested_in_a(const char *service, const char *nested, const char *direct, void *userdata)
{
    (void) userdata;
    return str_equal(service, "a") && str_equal(nested, "/srv/d/e") && str_equal(direct, "/srv/d+e");
}

/* What the box has for one of them stays where it is, also inside of another one. */
static void test_a_nested_folder(void **state)
{
    const char *text = "services: {a: {image: x, volumes: ['./d:/d', './d/e:/e', './f/g:/g']}}\n";
    const ComposeResolveOptions options = {
        .project = "box", .base_dir = "/srv", .lookup = lookup, .is_nested = is_nested_in_a
    };
    _cleanup_(compose_file_freep) ComposeFile *f = NULL;
    _cleanup_(compose_project_freep) ComposeProject *p = NULL;
    _cleanup_(freep) char *sources = NULL;

    (void) state;
    assert_int_equal(compose_parse(text, strlen(text), "c.yml", &f, NULL), 0);
    assert_int_equal(compose_resolve(f, &options, &p, NULL), 0);
    sources = strv_join(p->services[0].bind_sources, " ");
    assert_string_equal(sources, "/srv/d /srv/d/e /srv/f+g");
}

/* "came/FILE" is a file that came along, "came/folder" a folder. */
static int find_came(const char *path, bool read_only, char **ret, void *userdata, Error *err)
{
    (void) userdata;
    if (str_equal(path, "came/broken"))
        return error_set(err, EIO, "bundle.write", "no room for it");
    if (!str_starts(path, "came/") || (str_equal(path, "came/folder") && !read_only))
        return 0;
    *ret = str_format("/files/%s", path + strlen("came/"));
    return *ret ? 0 : -ENOMEM;
}

static bool has_came(const char *path, void *userdata)
{
    (void) userdata;
    return str_starts(path, "came/") && !str_equal(path, "came/folder");
}

/* The path tells what was asked for. */
static int make_any(const ComposeMadeFile *f, char **ret, void *userdata, Error *err)
{
    (void) userdata;
    (void) err;
    *ret = str_format("/%s/%s.%s.%s.%lld.%lld.%llo", f->is_secret ? "secret" : "config", f->service, f->name,
                      f->content ? f->content : f->path, (long long) f->uid, (long long) f->gid,
                      f->mode < 0 ? 0 : (unsigned long long) f->mode);
    return *ret ? 0 : -ENOMEM;
}

static const char *lookup_password(const char *key, void *userdata)
{
    (void) userdata;
    return str_equal(key, "PASSWORD") ? "hunter2" : str_equal(key, "EMPTY") ? "" : NULL;
}

/* The mounts of the first service as SOURCE:TARGET:ro|rw, or the error's id. A new string. */
static char *mounts_of(const char *text, const ComposeResolveOptions *options)
{
    _cleanup_(compose_project_freep) ComposeProject *p = NULL;
    _cleanup_(strv_freep) char **mounts = NULL;
    _cleanup_(error_done) Error err = {};
    const cJSON *m;

    if (resolve_text(text, options, &p, &err) < 0)
        return strdup(error_id(&err));
    cJSON_ArrayForEach(m, cJSON_GetObjectItemCaseSensitive(p->services[0].config, "volumes"))
        assert_int_equal(strv_addf(&mounts, "%s:%s:%s", json_string(m, "source"), json_string(m, "target"),
                                   json_bool(m, "read_only", false) ? "ro" : "rw"),
                         0);
    return strv_join(mounts, " ");
}

typedef struct MountCase {
    const char *service, *top, *wanted; /* a service's members, those of the file, and what mounts_of() finds */
} MountCase;

static void check_mounts(const MountCase *c, const ComposeResolveOptions *options)
{
    _cleanup_(freep) char *text = str_format("services: {a: {image: x, %s}}\n%s\n", c->service, c->top);
    _cleanup_(freep) char *found = mounts_of(text, options);

    if (!str_equal(found, c->wanted))
        fail_msg("%s: %s, not %s", text, found, c->wanted);
}

/* What a text or a variable holds, and what is to have rights of its own, the box makes a file of. */
static void test_files_that_are_made(void **state)
{
    static const MountCase cases[] = {
        { "configs: [c]", "configs: {c: {content: one}}", "/config/a.c.one.-1.-1.0:/c:ro" },
        { "configs: [c]", "configs: {c: {content: '${PASSWORD} $$x ${NONE:-d}'}}",
          "/config/a.c.hunter2 $x d.-1.-1.0:/c:ro" },
        { "configs: [c]", "configs: {c: {content: \"a\\nb\\n\"}}", "/config/a.c.a\nb\n.-1.-1.0:/c:ro" },
        { "configs: [c]", "configs: {c: {content: ''}}", "/config/a.c..-1.-1.0:/c:ro" },
        { "configs: [c]", "configs: {c: {environment: PASSWORD}}", "/config/a.c.hunter2.-1.-1.0:/c:ro" },
        { "configs: [c]", "configs: {c: {environment: EMPTY}}", "/config/a.c..-1.-1.0:/c:ro" },
        { "configs: [c]", "configs: {c: {environment: NONE}}", "interpolate.unset" },
        { "configs: [{source: c, target: /etc/c, uid: \"103\", gid: \"104\", mode: 0640}]",
          "configs: {c: {content: x}}", "/config/a.c.x.103.104.440:/etc/c:ro" },
        { "configs: [{source: c, mode: 0o400}]", "configs: {c: {file: ./came/c.yml}}",
          "/config/a.c.came/c.yml.-1.-1.400:/c:ro" },
        { "configs: [{source: c, mode: 0755}]", "configs: {c: {file: ./came/c.yml}}",
          "/config/a.c.came/c.yml.-1.-1.555:/c:ro" },
        { "configs: [{source: c, mode: 0555}]", "configs: {c: {file: ./came/c.yml}}",
          "/config/a.c.came/c.yml.-1.-1.555:/c:ro" },
        { "configs: [{source: c, mode: 0664}]", "configs: {c: {file: ./came/c.yml}}", "/files/c.yml:/c:ro" },
        /* only what is mounted as it came is given a place of its own */
        { "configs: [{source: c, uid: 103}]", "configs: {c: {file: ./came/broken}}",
          "/config/a.c.came/broken.103.-1.0:/c:ro" },
        { "configs: [c]", "configs: {c: {file: ./came/broken}}", "bundle.write" },
        { "configs: [{source: c, uid: 103}]", "configs: {c: {file: ./stayed}}", "compose.file-missing" },
        { "configs: [{source: c, uid: 103}]", "configs: {c: {file: ./came/c.yml}}",
          "/config/a.c.came/c.yml.103.-1.0:/c:ro" },
        { "configs: [{source: c, uid: 103}]", "configs: {c: {file: /srv/c.yml}}", "compose.bad-value" },
        { "configs: [{source: c, mode: 0440}]", "configs: {c: {file: /srv/c.yml}}", "/srv/c.yml:/c:ro" },
        { "configs: [{source: c, mode: 0444}]", "configs: {c: {file: /srv/c.yml}}", "/srv/c.yml:/c:ro" },
        { "configs: [{source: c, mode: 0555}]", "configs: {c: {file: /srv/c.sh}}", "compose.bad-value" },
        { "configs: [{source: c, mode: 256}]", "configs: {c: {content: x}}", "compose.bad-value" },
        { "configs: [{source: c, mode: 0222}]", "configs: {c: {content: x}}", "compose.bad-value" },
        { "configs: [{source: c, mode: 04755}]", "configs: {c: {content: x}}", "compose.bad-value" },
        { "configs: [{source: c, uid: haproxy}]", "configs: {c: {content: x}}", "compose.bad-value" },
        { "configs: [c]", "configs: {c: {content: x, file: ./came/c.yml}}", "compose.bad-value" },
        { "configs: [c]", "configs: {c: {}}", "compose.bad-value" },
        { "configs: [{source: c, target: c}, c]", "configs: {c: {content: x}}", "compose.bad-value" },
        { "secrets: [s]", "secrets: {s: {environment: PASSWORD}}", "/secret/a.s.hunter2.-1.-1.0:/run/secrets/s:ro" },
        { "secrets: [{source: s, target: db}]", "secrets: {s: {environment: PASSWORD}}",
          "/secret/a.s.hunter2.-1.-1.0:/run/secrets/db:ro" },
        { "secrets: [{source: s, target: /etc/s, uid: 0, mode: 0440}]", "secrets: {s: {file: ./came/s}}",
          "/secret/a.s.came/s.0.-1.440:/etc/s:ro" },
        { "secrets: [s]", "secrets: {s: {file: ./came/folder}}", "compose.file-missing" },
        { "secrets: [s]", "secrets: {s: {file: ./stayed}}", "compose.file-missing" },
        { "secrets: [s]", "secrets: {s: {file: /srv/s}}", "/srv/s:/run/secrets/s:ro" },
        { "secrets: [{source: s, mode: 0400}]", "secrets: {s: {file: /srv/s}}", "compose.bad-value" },
        { "secrets: [s]", "secrets: {s: {environment: NONE}}", "interpolate.unset" },
        { "secrets: [t]", "secrets: {s: {environment: PASSWORD}}", "compose.bad-value" },
        { "secrets: [s], configs: [{source: c, target: /run/secrets/s}]",
          "secrets: {s: {file: /srv/s}}\nconfigs: {c: {content: x}}", "compose.bad-value" },
    };
    const ComposeResolveOptions options = { .project = "box",
                                            .base_dir = "/srv",
                                            .lookup = lookup_password,
                                            .find_file = find_came,
                                            .has_file = has_came,
                                            .make_file = make_any };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++)
        check_mounts(&cases[i], &options);
}

/* A variable that only a config or a secret names is one that the box has to have. */
static void test_variables_of_files(void **state)
{
    static const char text[] =
        "services: {a: {image: x, configs: [c, {source: d}], secrets: [s, {source: t}]}}\n"
        "configs: {c: {environment: ONE}, d: {environment: PASSWORD}, e: {environment: UNUSED}}\n"
        "secrets: {s: {environment: TWO}, t: {file: ./t}}\n";
    _cleanup_(compose_file_freep) ComposeFile *f = NULL;
    _cleanup_(strv_freep) char **keys = NULL;
    _cleanup_(freep) char *names = NULL;

    (void) state;
    assert_int_equal(compose_parse(text, strlen(text), "c.yml", &f, NULL), 0);
    assert_int_equal(compose_required_keys(f, lookup_password, NULL, &keys, NULL), 0);
    names = strv_join(keys, " ");
    assert_string_equal(names, "ONE TWO");
}

/* What came along is mounted from where it is, for reading; the rest is data, as ever. */
static void test_files_that_came_along(void **state)
{
    static const MountCase cases[] = {
        { "volumes: ['./came/a.conf:/a']", "", "/files/a.conf:/a:ro" },
        { "volumes: [{type: bind, source: ./came/a.conf, target: /a}]", "", "/files/a.conf:/a:ro" },
        { "volumes: ['./came/folder:/f:ro']", "", "/files/folder:/f:ro" },
        { "volumes: ['./came/folder:/f']", "", "/srv/came+folder:/f:rw" },
        { "volumes: ['./data:/d', './came/../came/a.conf:/a:rw']", "", "/srv/data:/d:rw /files/a.conf:/a:ro" },
        { "volumes: ['/came/a.conf:/a']", "", "/came/a.conf:/a:rw" },
        { "volumes: ['./came/broken:/a']", "", "bundle.write" },
        /* a folder that came, and what is in it; but not one of which only a part can have come */
        { "volumes: ['./came/folder:/f:ro', './came/folder/a.conf:/a']", "",
          "/files/folder:/f:ro /files/folder/a.conf:/a:ro" },
        { "volumes: ['./came/folder/a.conf:/a', './came/folder:/f:ro']", "",
          "/files/folder/a.conf:/a:ro /files/folder:/f:ro" },
        { "volumes: ['./came/folder:/f:ro', './came/folder:/g']", "", "compose.bad-value" },
        { "volumes: ['./came/folder:/g', './came/folder:/f:ro']", "", "compose.bad-value" },
        { "configs: [c]", "configs: {c: {file: ./came/c.yml}}", "/files/c.yml:/c:ro" },
        { "configs: [{source: c, target: /etc/c.yml, mode: 0444, uid: \"0\"}]", "configs: {c: {file: came/c.yml}}",
          "/files/c.yml:/etc/c.yml:ro" },
        { "configs: [{source: c, target: c.yml}], volumes: ['./d:/d']", "configs: {c: {file: ./came/c.yml}}",
          "/srv/d:/d:rw /files/c.yml:/c.yml:ro" },
        { "configs: [{source: c, mode: 0440}]", "configs: {c: {file: ./came/c.yml}}", "/files/c.yml:/c:ro" },
        { "configs: [{source: c, mode: 0555}]", "configs: {c: {file: ./came/c.sh}}",
          "/var/lib/tucomunidad/files/c:/c:ro" },
        { "configs: [c, c]", "configs: {c: {file: ./came/c.yml}}", "compose.bad-value" },
        { "configs: [other]", "configs: {c: {file: ./came/c.yml}}", "compose.bad-value" },
        { "configs: [c]", "configs: {c: {file: ./stayed.yml}}", "compose.file-missing" },
        { "configs: [c]", "configs: {c: {external: true}}", "compose.unsupported-key" },
    };
    const ComposeResolveOptions options = {
        .project = "box", .base_dir = "/srv", .lookup = lookup, .find_file = find_came
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++)
        check_mounts(&cases[i], &options);
}

static const char *large_lookup(const char *key, void *userdata)
{
    static char large[1001];

    (void) key;
    (void) userdata;
    memset(large, 'x', sizeof(large) - 1);
    return large;
}

/* A small file whose variables would make a large one: 2000 times 1000 bytes. */
static void test_expansion_is_bounded(void **state)
{
    _cleanup_(buf_done) Buf b = BUF_INIT(200000);
    _cleanup_(error_done) Error err = {};
    const ComposeResolveOptions options = { .project = "box", .base_dir = "/srv/box", .lookup = large_lookup };
    _cleanup_(compose_file_freep) ComposeFile *f = NULL;
    ComposeProject *p = NULL;

    (void) state;
    assert_int_equal(buf_puts(&b, "services: {a: {image: x, labels: ["), 0);
    for (int i = 0; i < 2000; i++)
        assert_int_equal(buf_printf(&b, "l%d=$LARGE,", i), 0);
    assert_int_equal(buf_puts(&b, "]}}\n"), 0);
    assert_int_equal(compose_parse(b.data, b.len, "c.yml", &f, NULL), 0);
    assert_true(compose_resolve(f, &options, &p, &err) < 0);
    assert_string_equal(err.id, "interpolate.too-long");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_switched_off),
        cmocka_unit_test(test_check_of_the_image),
        cmocka_unit_test(test_what_a_swarm_would_read),
        cmocka_unit_test(test_addresses_of_network_cards),
        cmocka_unit_test(test_what_cannot_be_so),
        cmocka_unit_test(test_what_a_box_has_run_is_taken_as_it_was),
        cmocka_unit_test(test_name_of_the_file),
        cmocka_unit_test(test_names_of_variables),
        cmocka_unit_test(test_links_are_aliases),
        cmocka_unit_test(test_volumes_without_a_name),
        cmocka_unit_test(test_gpus_are_devices),
        cmocka_unit_test(test_what_is_shared),
        cmocka_unit_test(test_how_often_a_check_looks_at_first),
        cmocka_unit_test(test_a_nested_folder),
        cmocka_unit_test(test_files_that_are_made),
        cmocka_unit_test(test_variables_of_files),
        cmocka_unit_test(test_files_that_came_along),
        cmocka_unit_test(test_expansion_is_bounded),
    };

    return cmocka_run_group_tests_name("compose-forms", tests, NULL, NULL);
}

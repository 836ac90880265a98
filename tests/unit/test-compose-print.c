/* SPDX-License-Identifier: MIT */
/* What is written reads back the same: single strings through the emitter, whole projects through
 * compose_print(). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "compose/compose.h"
#include "compose/render/emit.h"
#include "lib/base/buf.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/data/yaml.h"
#include "tests/unit/resolve-text.h"

static const char *const nasty[] = {
    "",
    " ",
    "a",
    " a",
    "a ",
    "a b",
    "yes",
    "No",
    "ON",
    "y",
    "true",
    "NULL",
    "~",
    "null",
    "1",
    "0x1f",
    "1e3",
    "1_000",
    ".5",
    ".inf",
    ".NaN",
    "-1",
    "+1",
    "22:22",
    "190:20:30",
    "2001-12-14",
    "2001-12-14t21:59:43.10-05:00",
    "0o7",
    "010",
    "=",
    "<<",
    "-",
    "- a",
    "?",
    "? a",
    ":",
    "a: b",
    "a:b",
    "a:",
    ":a",
    "#",
    "a #b",
    "a#b",
    "&a",
    "*a",
    "!a",
    "!!str a",
    "|",
    ">",
    ">-",
    "%a",
    "@a",
    "`a",
    "[a]",
    "{a: b}",
    "a, b",
    ",",
    "]",
    "}",
    "'a'",
    "\"a\"",
    "it's",
    "\\",
    "\\n",
    "a\nb",
    "a\n",
    "\na",
    "a\n\nb",
    "\t",
    "a\tb",
    "\r\n",
    "\x01\x02",
    "\x1b[0m",
    "\x7f",
    "\xc2\x80",
    "\xc2\x85",
    "\xc2\xa0",
    "\xe2\x80\xa8",
    "\xe2\x80\xa9",
    "\xef\xbb\xbf",
    ("\xef\xbb\xbf"
     "a"),
    "\xc3\xa9",
    "\xe2\x82\xac",
    "\xf0\x9f\x98\x80",
    "---",
    "...",
    "--- a",
    "/path/x",
    "_a",
    "a-b_c.d/e",
    "$$",
    "${A}",
    "$A",
    "a$",
    "null ",
    "Nan",
    "inf",
    "nan",
    "0",
    "0.0",
    "1.2.3",
    "1-2",
    "e5",
    "0b1",
    "off",
};

static void test_strings(void **state)
{
    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(nasty); i++) {
        _cleanup_(cJSON_Deletep) cJSON *object = cJSON_CreateObject();
        _cleanup_(yaml_node_freep) YamlNode *root = NULL;
        _cleanup_(error_done) Error err = {};
        _cleanup_(freep) char *text = NULL;
        cJSON *list = cJSON_AddArrayToObject(object, "list");

        assert_int_equal(json_add_string(object, "value", nasty[i]), 0);
        assert_int_equal(json_append(list, cJSON_CreateString(nasty[i])), 0);
        assert_int_equal(compose_emit_yaml(object, &text), 0);
        if (yaml_parse(text, strlen(text), "out", &root, &err) < 0)
            fail_msg("case %zu: %s: %s", i, text, error_message(&err, 0));
        if (!str_equal(yaml_get(root, "value")->value, nasty[i]) ||
            !str_equal(yaml_get(root, "list")->items[0]->value, nasty[i]))
            fail_msg("case %zu: %s", i, text);
        assert_false(yaml_is_null(yaml_get(root, "value")));
    }
}

static void test_keys(void **state)
{
    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(nasty); i++) {
        _cleanup_(cJSON_Deletep) cJSON *object = cJSON_CreateObject();
        _cleanup_(yaml_node_freep) YamlNode *root = NULL;
        _cleanup_(freep) char *text = NULL;

        /* our own parser wants keys that are not empty and on one line */
        if (!*nasty[i] || strpbrk(nasty[i], "\n\t\r\x01\x1b"))
            continue;
        assert_int_equal(json_add_string(object, nasty[i], "v"), 0);
        assert_int_equal(compose_emit_yaml(object, &text), 0);
        if (yaml_parse(text, strlen(text), "out", &root, NULL) < 0 || !yaml_get(root, nasty[i]))
            fail_msg("case %zu: %s", i, text);
    }
}

static void test_layout(void **state)
{
    static const struct {
        const char *json, *yaml;
    } cases[] = {
        { "{}", "{}\n" },
        { "[]", "[]\n" },
        { "\"x\"", "x\n" },
        { "12", "12\n" },
        { "-1.5", "-1.5\n" },
        { "null", "null\n" },
        { "{\"a\":true,\"b\":false,\"c\":null,\"d\":3}", "a: true\nb: false\nc: null\nd: 3\n" },
        { "{\"a\":{},\"b\":[]}", "a: {}\nb: []\n" },
        { "{\"a\":{\"b\":{\"c\":\"d\"}},\"e\":\"f\"}", "a:\n  b:\n    c: d\ne: f\n" },
        { "{\"a\":[\"x\",\"1\"]}", "a:\n  - x\n  - \"1\"\n" },
        { "[{\"a\":\"b\",\"c\":[\"d\"]},\"e\"]", "- a: b\n  c:\n    - d\n- e\n" },
        { "[[\"a\",[\"b\"]],[]]", "- - a\n  - - b\n- []\n" },
        { "{\"yes\":\"\"}", "\"yes\": \"\"\n" },
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(cJSON_Deletep) cJSON *value = NULL;
        _cleanup_(freep) char *text = NULL;

        assert_int_equal(json_parse(cases[i].json, strlen(cases[i].json), &value, NULL), 0);
        assert_int_equal(compose_emit_yaml(value, &text), 0);
        assert_string_equal(text, cases[i].yaml);
    }
}

static void test_emit_refuses(void **state)
{
    _cleanup_(cJSON_Deletep) cJSON *bad = cJSON_CreateString("\xff");
    _cleanup_(cJSON_Deletep) cJSON *deep = cJSON_CreateArray();
    _cleanup_(cJSON_Deletep) cJSON *long_key = cJSON_CreateObject();
    char key[600];
    char *text = NULL;
    cJSON *at = deep;

    (void) state;
    assert_int_equal(compose_emit_yaml(bad, &text), -EINVAL);
    for (int i = 0; i < 70; i++) {
        cJSON *inner = cJSON_CreateArray();
        assert_int_equal(json_append(at, inner), 0);
        at = inner;
    }
    assert_int_equal(compose_emit_yaml(deep, &text), -EINVAL);
    memset(key, 'k', sizeof(key) - 1);
    key[sizeof(key) - 1] = '\0';
    assert_int_equal(json_add_string(long_key, key, "v"), 0);
    assert_int_equal(compose_emit_yaml(long_key, &text), -EMSGSIZE);
    assert_int_equal(compose_emit_yaml(NULL, &text), -EINVAL);
    assert_null(text);
}

/* --- whole projects --- */

static const char *lookup(const char *key, void *userdata)
{
    (void) userdata;
    return str_equal(key, "SET") ? "va$lue $A \xe2\x80\xa8" : NULL;
}

static ComposeProject *resolve(const char *text)
{
    const ComposeResolveOptions options = { .project = "box", .base_dir = "/srv", .lookup = lookup };

    return resolve_good_text(text, &options);
}

/* Everything that a project holds, as one text. */
static char *describe(const ComposeProject *p)
{
    _cleanup_(buf_done) Buf b = BUF_INIT(1024 * 1024);

    for (size_t i = 0; i < p->n_services; i++) {
        const ComposeService *s = &p->services[i];
        _cleanup_(freep) char *environment = json_print(s->environment);
        _cleanup_(freep) char *config = json_print(s->config);
        _cleanup_(freep) char *depends = json_print(s->depends_conditions);
        _cleanup_(freep) char *health = s->healthcheck ? json_print(s->healthcheck) : strdup("none");
        _cleanup_(freep) char *ports = strv_join(s->host_ports, " ");
        _cleanup_(freep) char *binds = strv_join(s->bind_sources, " ");

        assert_int_equal(buf_printf(&b, "%s %s %s %s %u\n%s\n%s\n%s\n%s\n%s\n%s\n", s->name, s->container_name,
                                    s->image, s->pull_policy ? s->pull_policy : "-", s->stop_grace_seconds, environment,
                                    config, depends, health, ports ? ports : "", binds ? binds : ""),
                         0);
    }
    {
        _cleanup_(freep) char *networks = json_print(p->networks);
        _cleanup_(freep) char *volumes = json_print(p->volumes);

        assert_int_equal(buf_printf(&b, "%s\n%s\n", networks, volumes), 0);
    }
    return buf_take(&b);
}

static const char *const files[] = {
    "services: {a: {image: x}}\n",
    "name: box\n"
    "services:\n"
    "  web:\n"
    "    image: registry.example:5000/a/b@sha256:0123456789abcdef\n"
    "    container_name: web\n"
    "    pull_policy: never\n"
    "    annotations: [a=1]\n"
    "    cap_add: [NET_ADMIN]\n"
    "    cap_drop: [ALL]\n"
    "    command: sh -c 'echo $$HOME; [ -f x ] && true'\n"
    "    entrypoint: []\n"
    "    cpu_shares: 512\n"
    "    devices: ['/dev/a:/dev/b']\n"
    "    expose: [80]\n"
    "    extra_hosts: {h: '::1'}\n"
    "    healthcheck: {test: [CMD, curl, 'http://x/$$y'], interval: 90s, timeout: 1500ms, start_period: 7us, "
    "retries: 9}\n"
    "    hostname: 'no'\n"
    "    init: true\n"
    "    labels: {com.centurylinklabs.watchtower.enable: true, n: 012, e: '', d: $SET}\n"
    "    logging: {driver: k8s-file, options: {max-size: 10m}}\n"
    "    mem_limit: 1g\n"
    "    networks: {n: {aliases: [w]}, e: }\n"
    "    ports: [22:22, '127.0.0.1:80-82:80-82/udp', '[::1]::9', 7, '10.0.0.1::8/sctp']\n"
    "    privileged: no\n"
    "    read_only: true\n"
    "    restart: on-failure:3\n"
    "    security_opt: ['no-new-privileges:true']\n"
    "    shm_size: 1m\n"
    "    stdin_open: true\n"
    "    tty: true\n"
    "    stop_grace_period: 61s\n"
    "    stop_signal: SIGINT\n"
    "    sysctls: {net.core.somaxconn: 1024}\n"
    "    tmpfs: ['/run:size=1m']\n"
    "    ulimits: {nofile: {soft: 1, hard: 2}}\n"
    "    user: 0:0\n"
    "    volumes: ['./a b:/a b', 'v:/v:ro', '/x:/y:rshared', {type: tmpfs, target: /t, tmpfs: {size: 1k, "
    "mode: '0700'}},\n"
    "              {type: tmpfs, target: /t2}]\n"
    "    working_dir: /w\n"
    "    depends_on: {db: {condition: service_completed_successfully}, c: }\n"
    "    environment: {A: $SET, B: \"x\\ny\", C: '{\"a\": [1]}', D: '', E: ' lead', F: 'yes', G: '#', H: "
    "\"\\t\\x07\"}\n"
    "  db: {image: pg, healthcheck: {disable: true}}\n"
    "  c: {image: c, healthcheck: {interval: 5s}, depends_on: [db]}\n"
    "networks:\n"
    "  n: {driver: macvlan, driver_opts: {parent: eth0}, internal: true, enable_ipv6: true, labels: [x=y],\n"
    "      ipam: {driver: host-local, config: [{subnet: 10.0.0.0/8, gateway: 10.0.0.1, ip_range: "
    "10.1.0.0/16}]}}\n"
    "  e: {external: true, name: outside}\n"
    "volumes:\n"
    "  v: {name: data, labels: {a: 'yes'}, driver: x, driver_opts: {o: '$$1'}}\n",
};

static void test_round_trip(void **state)
{
    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(files); i++) {
        _cleanup_(compose_project_freep) ComposeProject *first = resolve(files[i]);
        _cleanup_(freep) char *printed = compose_print(first);
        _cleanup_(compose_project_freep) ComposeProject *second = printed ? resolve(printed) : NULL;
        _cleanup_(freep) char *before = describe(first);
        _cleanup_(freep) char *after = second ? describe(second) : NULL;
        _cleanup_(freep) char *again = second ? compose_print(second) : NULL;

        assert_non_null(second);
        assert_string_equal(before, after);
        assert_string_equal(printed, again);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_strings),      cmocka_unit_test(test_keys),       cmocka_unit_test(test_layout),
        cmocka_unit_test(test_emit_refuses), cmocka_unit_test(test_round_trip),
    };

    return cmocka_run_group_tests_name("compose-print", tests, NULL, NULL);
}

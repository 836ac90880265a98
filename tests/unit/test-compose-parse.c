/* SPDX-License-Identifier: MIT */
/* The schema: which keys and shapes a compose file may have, and what is dropped on the way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "compose/compose.h"
#include "compose/parse/schema.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"

static const struct {
    const char *text;
    const char *id; /* NULL: accepted */
    unsigned line;
    const char *key;
    const char *says;
} cases[] = {
    { "services: {a: {image: x}}\n", NULL, 0, NULL, NULL },
    { "version: '3'\nname: p\nservices: {a: {image: x}}\nnetworks: {n: }\nvolumes: {v: }\n", NULL, 0, NULL, NULL },
    { "x-y: &a 1\nservices: {a: {image: *b}}\n", "yaml.alias", 2, NULL, NULL },
    { "x-y: {z: [1]}\nservices: {a: {image: x, x-q: 1, deploy: {x-r: 2}}}\n", NULL, 0, NULL, NULL },
    { "- services\n", "compose.bad-type", 1, NULL, "a list where a mapping is expected" },
    { "name: x\n", "compose.no-services", 1, "services", NULL },
    { "services:\n", "compose.no-services", 1, "services", NULL },
    { "services: {}\n", "compose.no-services", 1, "services", NULL },
    { "services: {a: {image: x, profiles: [debug]}}\n", "compose.no-services", 1, "services", "profiles" },
    { "services:\n  a:\n", "compose.bad-type", 2, "services.a", "nothing where a mapping" },
    { "services: [a]\n", "compose.bad-type", 1, "services", NULL },
    { "services: {'a b': {image: x}}\n", "compose.name", 1, "services.a b", NULL },
    { "services: {'-a': {image: x}}\n", "compose.name", 1, NULL, NULL },
    { "services: {a: {image: x}}\nvolumes: {'a/b': }\n", "compose.name", 2, "volumes.a/b", NULL },
    { "services: {a: {image: x}}\nnetworks: {'..': }\n", "compose.name", 2, NULL, NULL },
    /* unknown keys */
    { "services:\n  web:\n    imgae: x\n", "compose.unknown-key", 3, "services.web.imgae", "did you mean `image`?" },
    { "services:\n  web:\n    enviroment: {}\n", "compose.unknown-key", 3, NULL, "`environment`" },
    { "services:\n  web:\n    port: []\n", "compose.unknown-key", 3, NULL, "`ports`" },
    { "services:\n  web:\n    depend_on: []\n", "compose.unknown-key", 3, NULL, "`depends_on`" },
    { "services:\n  web:\n    zzzzzz: x\n", "compose.unknown-key", 3, NULL, "x-zzzzzz" },
    { "servics: {}\n", "compose.unknown-key", 1, "servics", "`services`" },
    { "services: {a: {image: x, Image: y}}\n", "compose.unknown-key", 1, NULL, "`image`" },
    { "services: {a: {healthcheck: {tset: x}}}\n", "compose.unknown-key", 1, "services.a.healthcheck.tset", "`test`" },
    { "services: {a: {ports: [{taget: 1}]}}\n", "compose.unknown-key", 1, "services.a.ports[0].taget", "`target`" },
    { "services: {a: {volumes: [x, {sorce: 1}]}}\n", "compose.unknown-key", 1, "services.a.volumes[1].sorce",
      "`source`" },
    { "services: {a: {deploy: {resources: {limits: {cpu: 1}}}}}\n", "compose.unknown-key", 1, NULL, "`cpus`" },
    { "services: {a: {depends_on: {b: {conditoin: x}}}}\n", "compose.unknown-key", 1, NULL, "`condition`" },
    { "services: {a: {image: x}}\nnetworks: {n: {intrenal: true}}\n", "compose.unknown-key", 2, "networks.n.intrenal",
      "`internal`" },
    { "services: {a: {image: x}}\nvolumes: {v: {extrenal: true}}\n", "compose.unknown-key", 2, NULL, "`external`" },
    /* keys that reach outside or that podman-compose gets wrong */
    { "include: [a.yml]\nservices: {a: {image: x}}\n", "compose.unsupported-key", 1, "include", "whole" },
    { "services: {a: {image: x}}\nsecrets: {s: {external: true}}\n", "compose.unsupported-key", 2, "secrets.s.external",
      "`environment: VARIABLE`" },
    { "services: {a: {image: x}}\nconfigs: {s: {external: true}}\n", "compose.unsupported-key", 2, "configs.s.external",
      NULL },
    { "services: {a: {image: x}}\nsecrets: {s: {content: x}}\n", "compose.unknown-key", 2, "secrets.s.content", NULL },
    { "services: {a: {image: x}}\nsecrets: {../s: {file: ./s}}\n", "compose.name", 2, "secrets.../s", NULL },
    { "services: {a: {image: x}}\nconfigs: {s/t: {file: ./s}}\n", "compose.name", 2, NULL, NULL },
    { "services: {a: {extends: {service: b}}}\n", "compose.unsupported-key", 1, "services.a.extends", NULL },
    { "services: {a: {build: .}}\n", "compose.unsupported-key", 1, "services.a.build", "`image`" },
    { "services: {a: {secrets: {s: }}}\n", "compose.bad-type", 1, NULL, NULL },
    { "services: {a: {external_links: [b]}}\n", "compose.unsupported-key", 1, NULL, NULL },
    { "services: {a: {credential_spec: {}}}\n", "compose.unsupported-key", 1, NULL, NULL },
    { "services: {a: {volumes_from: [b]}}\n", "compose.unsupported-key", 1, NULL, NULL },
    { "services: {a: {label_file: x}}\n", "compose.unsupported-key", 1, NULL, NULL },
    { "services: {a: {use_api_socket: true}}\n", "compose.unsupported-key", 1, NULL, NULL },
    { "services: {a: {deploy: {restart_policy: {every: 5s}}}}\n", "compose.unknown-key", 1, NULL, NULL },
    { "services: {a: {volumes: [{type: volume, volume: {subpath: x}}]}}\n", "compose.unsupported-key", 1, NULL, NULL },
    /* shapes */
    { "services: {a: {image: [x]}}\n", "compose.bad-type", 1, "services.a.image", "a list where text is expected" },
    { "services: {a: {ports: '80:80'}}\n", "compose.bad-type", 1, "services.a.ports", "text where a list" },
    { "services: {a: {ports: [[80]]}}\n", "compose.bad-type", 1, "services.a.ports[0]", "text or a mapping" },
    { "services: {a: {ports: [~]}}\n", "compose.bad-type", 1, "services.a.ports[0]", NULL },
    { "services: {a: {environment: x}}\n", "compose.bad-type", 1, NULL, "a list or a mapping" },
    { "services: {a: {environment: {A: [1]}}}\n", "compose.bad-type", 1, "services.a.environment.A", NULL },
    { "services: {a: {environment: [{A: 1}]}}\n", "compose.bad-type", 1, "services.a.environment[0]", NULL },
    { "services: {a: {command: {a: b}}}\n", "compose.bad-type", 1, NULL, NULL },
    { "services: {a: {command: [a, [b]]}}\n", "compose.bad-type", 1, "services.a.command[1]", NULL },
    { "services: {a: {depends_on: b}}\n", "compose.bad-type", 1, NULL, NULL },
    { "services: {a: {privileged: [true]}}\n", "compose.bad-type", 1, NULL, NULL },
    { "services: {a: {healthcheck: curl}}\n", "compose.bad-type", 1, NULL, NULL },
    { "services: {a: {profiles: debug}}\n", "compose.bad-type", 1, NULL, NULL },
    { "services: {a: {image: x}}\nvolumes: [v]\n", "compose.bad-type", 2, NULL, NULL },
    { "services: {a: {image: x}}\nnetworks: {n: bridge}\n", "compose.bad-type", 2, NULL, NULL },
    /* keys that equal root are for the policy to judge, so they must get through here */
    { "services: {a: {image: x, privileged: true, security_opt: [a], sysctls: {a: 1}, devices: [/dev/x],\n"
      " cap_add: [ALL], network_mode: host}}\n",
      NULL, 0, NULL, NULL },
    /* what podman-compose 1.0.3 would lose is told here, not when a box renders the file */
    { "services: {a: {image: x, domainname: a}}\n", "compose.unsupported-key", 1, NULL, "ignores it; remove it" },
    { "services: {a: {image: x, networks: {n: {priority: 1}}}}\n", "compose.unsupported-key", 1, NULL,
      "ignores it; remove it" },
    { "services: {a: {image: x, deploy: {resources: {limits: {generic_resources: []}}}}}\n", "compose.unsupported-key",
      1, NULL, "ignores it; remove it" },
    /* strict YAML comes first */
    { "services: {a: {image: x, image: y}}\n", "yaml.duplicate-key", 1, NULL, NULL },
    { "", "yaml.empty", 1, NULL, NULL },
};

static void test_f09_cases(void **state)
{
    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(compose_file_freep) ComposeFile *f = NULL;
        _cleanup_(error_done) Error err = {};
        int r = compose_parse(cases[i].text, strlen(cases[i].text), "c.yml", &f, &err);

        if (!cases[i].id) {
            if (r < 0)
                fail_msg("%s: %s: %s", cases[i].text, error_id(&err), error_message(&err, r));
            continue;
        }
        if (r >= 0 || f || !str_equal(err.id, cases[i].id) || err.line != cases[i].line)
            fail_msg("%s: %d %s line %u, expected %s line %u", cases[i].text, r, error_id(&err), err.line, cases[i].id,
                     cases[i].line);
        assert_string_equal(err.file, "c.yml");
        if (cases[i].key && !str_equal(err.key, cases[i].key))
            fail_msg("%s: place %s, expected %s", cases[i].text, err.key ? err.key : "(none)", cases[i].key);
        if (cases[i].says && !strstr(error_message(&err, r), cases[i].says))
            fail_msg("%s: \"%s\" does not say \"%s\"", cases[i].text, error_message(&err, r), cases[i].says);
    }
}

static void test_dropped(void **state)
{
    const char *text = "x-a: 1\nservices:\n  a: {image: x, x-b: 1, labels: {x-c: kept}}\n"
                       "  debug: {image: y, profiles: [debug]}\n  b: {image: z, profiles: []}\n";
    _cleanup_(compose_file_freep) ComposeFile *f = NULL;
    const YamlNode *services;

    (void) state;
    assert_int_equal(compose_parse(text, strlen(text), "c.yml", &f, NULL), 0);
    assert_string_equal(compose_file_name(f), "c.yml");
    assert_null(yaml_get(compose_file_root(f), "x-a"));
    services = yaml_get(compose_file_root(f), "services");
    assert_int_equal(services->n_items, 2);
    assert_null(yaml_get(services, "debug"));
    assert_non_null(yaml_get(services, "b"));
    assert_null(yaml_get(yaml_get(services, "a"), "x-b"));
    assert_string_equal(yaml_get(yaml_get(yaml_get(services, "a"), "labels"), "x-c")->value, "kept");
}

static void test_too_many_services(void **state)
{
    _cleanup_(compose_file_freep) ComposeFile *f = NULL;
    _cleanup_(error_done) Error err = {};
    char text[4096] = "services:\n";
    size_t n = strlen(text);

    (void) state;
    for (int i = 0; i <= COMPOSE_SERVICES_MAX; i++)
        n += (size_t) snprintf(text + n, sizeof(text) - n, "  s%d: {image: x}\n", i);
    assert_true(compose_parse(text, n, "c.yml", &f, &err) < 0);
    assert_string_equal(err.id, "compose.too-many-services");
}

static void test_service_keys_are_sorted(void **state)
{
    (void) state;
    for (const ComposeKey *k = compose_service_keys; k[1].key; k++)
        assert_true(strcmp(k[0].key, k[1].key) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_f09_cases),
        cmocka_unit_test(test_dropped),
        cmocka_unit_test(test_too_many_services),
        cmocka_unit_test(test_service_keys_are_sorted),
    };

    return cmocka_run_group_tests_name("compose-parse", tests, NULL, NULL);
}

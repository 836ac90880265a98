/* SPDX-License-Identifier: MIT */
/* What is refused before a box is asked, and what is only a warning. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "compose/precheck.h"
#include "lib/base/strv.h"

#define FILE_WITH(value) "services:\n  a:\n    image: x\n    environment:\n      K: " value "\n"

static void test_precheck(void **state)
{
    static const struct {
        const char *text;
        const char *refused; /* error id, or its first part with a dot behind it */
        unsigned line;
        const char *warned;
    } cases[] = {
        { FILE_WITH("plain"), NULL, 0, NULL },
        { FILE_WITH("${SET_ON_THE_BOX}"), NULL, 0, NULL },
        { FILE_WITH("${SET_ON_THE_BOX:?say it}"), NULL, 0, NULL },
        { FILE_WITH("${A:-${B-${C}}}"), NULL, 0, NULL },
        { FILE_WITH("$$HOME costs 5$"), NULL, 0, NULL },
        { FILE_WITH("${A"), "interpolate.syntax", 5, NULL },
        { FILE_WITH("${A:-${B}"), "interpolate.syntax", 5, NULL },
        { FILE_WITH("${1A}"), "interpolate.syntax", 5, NULL },
        { "services:\n  a:\n    image: x\n    privileged: true\n", NULL, 0, "policy." },
        { "services:\n  a:\n    image: ${A\n    privileged: true\n", "interpolate.syntax", 3, NULL },
        { "services:\n  a:\n    image: x\n    env_file: /etc/passwd\n", "policy.refused", 4, NULL },
        { "services:\n  a:\n    image: x\n    privileged: true\n    volumes: ['/:/host']\n", "policy.bind-outside", 5,
          NULL },
        /* what the text alone shows, wherever the box would find it out */
        { "services:\n  a:\n    image: x\n    networks: {n: {aliases: [b]}, m: }\nnetworks: {n: , m: }\n", NULL, 0,
          NULL },
        { "services:\n  a:\n    image: x\n    stop_signal: SIGNOT\n    environment: {K: \"a\\nb\"}\n",
          "spec.unsupported", 4, NULL },
        { "services:\n  a:\n    image: x\n    healthcheck: {interval: 3s}\n", NULL, 0, NULL },
        { "services:\n  a:\n    image: x\n    ports: [\"80:80\", \"80:81\"]\n", "compose.duplicate-port", 4, NULL },
        { "services:\n  a:\n    image: x\n    environment: {K: \"a\\nb\"}\n", NULL, 0, NULL },
        { "services:\n  a: {}\n", "compose.no-image", 2, NULL },
        { "services:\n  a:\n    image: x\nnetworks: {default: {driver: macvlan}}\n", NULL, 0, "policy." },
        /* and not what it does not show */
        { "services:\n  a:\n    image: ${I}\n    ports: [\"${P}:80\"]\n    mem_limit: ${M}\n    command: [\"${C}\"]\n",
          NULL, 0, NULL },
        { "services:\n  a:\n    image: x\n    healthcheck: {test: \"${T}\", interval: 3s}\n    env_file: ${E}\n", NULL,
          0, NULL },
        { "name: ${N}\nservices:\n  a:\n    image: x\n    volumes: [\"${V}:/v\"]\nvolumes: {v: {name: \"${V}\"}}\n",
          NULL, 0, NULL },
        { "services:\n  a:\n    image: x\n    environment: [K, L]\n    env_file: x.env\n"
          "    depends_on: {b: {condition: \"${C}\"}}\n"
          "  b: {image: y}\n",
          NULL, 0, NULL },
        { "services:\n  a:\n    imagee: x\n", "compose.unknown-key", 3, NULL },
        { "services:\n  a: [\n", "yaml.", 0, NULL },
        { "services:\n  a:\n    image: x\n    image: y\n", "yaml.", 4, NULL },
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(error_done) Error err = {}, policy = {};
        int r = compose_precheck(cases[i].text, strlen(cases[i].text), "c.yaml", NULL, &policy, &err);

        if (cases[i].refused ? r >= 0 || !str_starts(error_id(&err), cases[i].refused) : r < 0)
            fail_msg("case %zu: %d, %s: %s", i, r, err.id ? err.id : "(none)", error_message(&err, r));
        if (cases[i].line > 0)
            assert_int_equal(err.line, cases[i].line);
        if (cases[i].refused)
            assert_string_equal(err.file, "c.yaml");
        if (cases[i].warned ? !policy.id || !str_starts(policy.id, cases[i].warned) : policy.id != NULL)
            fail_msg("case %zu: warned of %s", i, policy.id ? policy.id : "(none)");
    }
}

#define MOUNTS(...) "services:\n  a:\n    image: x\n    volumes: [" __VA_ARGS__ "]\n"

/* The box alone knows which files came with a text; what may be one of them is not refused before. */
static void test_files_that_come_with_it(void **state)
{
    static const struct {
        const char *text, *alone, *with_files; /* error ids */
    } cases[] = {
        { MOUNTS("'./nginx:/etc/nginx:ro', './nginx/site.conf:/s'"), "compose.bad-value", NULL },
        { MOUNTS("'./conf:/conf', './conf/a.yml:/conf/a.yml'"), "compose.bad-value", NULL },
        { MOUNTS("'./both:/a', './both:/b:ro'"), NULL, NULL },
        { MOUNTS("'../up:/a'"), "compose.bad-value", "compose.bad-value" },
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(error_done) Error alone = {}, with_files = {};
        size_t len = strlen(cases[i].text);
        int r = compose_precheck(cases[i].text, len, "c.yaml", NULL, NULL, &alone);
        int k = compose_precheck(cases[i].text, len, "c.yaml", &compose_any_files, NULL, &with_files);

        if (!str_equal(r < 0 ? error_id(&alone) : NULL, cases[i].alone) ||
            !str_equal(k < 0 ? error_id(&with_files) : NULL, cases[i].with_files))
            fail_msg("case %zu: %s; %s", i, r < 0 ? error_message(&alone, r) : "ok",
                     k < 0 ? error_message(&with_files, k) : "ok");
    }
}

static void test_empty_is_refused(void **state)
{
    _cleanup_(error_done) Error err = {}, policy = {};

    (void) state;
    assert_true(compose_precheck("", 0, "c.yaml", NULL, &policy, &err) < 0);
    assert_non_null(err.id);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_precheck),
        cmocka_unit_test(test_files_that_come_with_it),
        cmocka_unit_test(test_empty_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

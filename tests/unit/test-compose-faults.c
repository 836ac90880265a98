/* SPDX-License-Identifier: MIT */
/* All faults of a file in one look, each with its line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "compose/faults.h"
#include "lib/base/buf.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"

/* "LINE ID KEY" a fault */
static char *describe(const ErrorList *list)
{
    _cleanup_(buf_done) Buf b = BUF_INIT(10000);

    assert_int_equal(buf_puts(&b, ""), 0);
    for (size_t i = 0; i < list->n; i++)
        assert_int_equal(buf_printf(&b, "%u %s %s\n", list->items[i].line, error_id(&list->items[i]),
                                    list->items[i].key ? list->items[i].key : "-"),
                         0);
    return buf_take(&b);
}

static void expect(const char *text, const char *refused, const char *policy, const char *allowing)
{
    _cleanup_(compose_faults_done) ComposeFaults faults = {};
    _cleanup_(freep) char *is = NULL, *is_policy = NULL, *entries = NULL;

    assert_int_equal(compose_find_faults(text, strlen(text), "c.yml", NULL, &faults), 0);
    is = describe(&faults.refused);
    is_policy = describe(&faults.policy);
    entries = faults.allowing ? json_print(faults.allowing) : strdup("");
    if (!str_equal(is, refused) || !str_equal(is_policy, policy) || !str_equal(entries, allowing)) {
        print_error("%s\nrefused:\n%s", text, is);
        fail_msg("policy:\n%s%s", is_policy, entries);
    }
}

static void test_a_good_file(void **state)
{
    (void) state;
    expect("services: {a: {image: 'x:${TAG}', environment: [PASSED]}}\n", "", "", "");
}

static void test_many_faults(void **state)
{
    (void) state;
    expect("services:\n"
           "  web.front:\n"
           "    imagee: x\n"
           "    ports: ['a:80', '80:80', 99999, '81:${P}']\n"
           "    volumes:\n"
           "      - nowhere:/a\n"
           "      - elsewhere:/b\n"
           "    environment: {A B: 1, C: '${'}\n"
           "    depends_on: [gone]\n"
           "    label_file: all\n"
           "  db:\n"
           "    image: y\n"
           "    mem_limit: lots\n"
           "    networks: {n: {mac_address: 1}}\n"
           "    restart: sometimes\n"
           "networks:\n"
           "  n: {external: true, internal: true}\n"
           "colour: red\n",
           "3 compose.unknown-key services.web.front.imagee\n"
           "4 compose.bad-port services.web.front.ports[0]\n"
           "4 compose.bad-port services.web.front.ports[2]\n"
           "6 compose.missing-volume services.web.front.volumes[0]\n"
           "7 compose.missing-volume services.web.front.volumes[1]\n"
           "8 interpolate.syntax services.web.front.environment.C\n"
           "8 compose.bad-value services.web.front.environment.A B\n"
           "9 compose.missing-dependency services.web.front.depends_on[0]\n"
           "10 compose.unsupported-key services.web.front.label_file\n"
           "13 compose.bad-value services.db.mem_limit\n"
           "14 compose.bad-value services.db.networks.n.mac_address\n"
           "15 compose.bad-value services.db.restart\n"
           "17 compose.bad-value networks.n\n"
           "18 compose.unknown-key colour\n",
           "", "");
}

static void test_a_misspelt_key_is_read_as_meant(void **state)
{
    (void) state;
    expect("services:\n  a:\n    imagee: 'a b'\n  b:\n    colour: x\n",
           "3 compose.unknown-key services.a.imagee\n3 compose.bad-value services.a.image\n"
           "4 compose.no-image services.b\n5 compose.unknown-key services.b.colour\n",
           "", "");
}

static void test_one_fault_that_hides_all(void **state)
{
    (void) state;
    expect("services: [\n", "2 yaml.syntax -\n", "", "");
    expect("services: {}\n", "1 compose.no-services services\n", "", "");
    expect("services: text\n", "1 compose.bad-type services\n", "", "");
    expect("", "1 yaml.empty -\n", "", "");
}

static void test_what_the_policy_refuses(void **state)
{
    (void) state;
    expect("services:\n"
           "  nvr:\n"
           "    image: x\n"
           "    privileged: true\n"
           "    cap_add: [NET_ADMIN, SYS_ADMIN]\n"
           "    volumes: ['/mnt/rec/:/rec', '/opt/c:/c:ro', '/:/host:ro']\n"
           "    tty: maybe\n",
           "6 policy.bind-outside services.nvr.volumes\n7 compose.bad-value services.nvr.tty\n",
           "4 policy.refused services.nvr.privileged\n"
           "5 policy.refused services.nvr.cap_add\n"
           "5 policy.refused services.nvr.cap_add\n"
           "6 policy.bind-outside services.nvr.volumes\n"
           "6 policy.bind-outside services.nvr.volumes\n",
           "{\"services\":{\"nvr\":{\"allow\":[\"privileged\",\"cap_add:NET_ADMIN\",\"cap_add:SYS_ADMIN\"],"
           "\"bind\":[\"/mnt/rec\"],\"bind_ro\":[\"/opt/c\"]}}}");
}

static void test_what_no_policy_allows(void **state)
{
    (void) state;
    expect("services:\n"
           "  a:\n"
           "    image: x\n"
           "    env_file: [/etc/passwd, secbox.env, ../x]\n"
           "    labels: [io.tucomunidad.a=1, com.docker.compose.b=2]\n"
           "    logging: {driver: syslog, options: {path: /x, size: 1}}\n"
           "    volumes: ['/srv/../etc:/e:exec,suid', '/var/lib/tucomunidad/volumes:/v', "
           "'/var/lib/tucomunidad/volumes/a/b:/w']\n"
           "    tmpfs: ['/t:exec,dev', '/u:suid']\n"
           "    secrets: [d]\n"
           "networks:\n"
           "  n: {name: host, driver: macvlan}\n"
           "secrets: {c: {external: true}}\n",
           "4 compose.bad-value services.a.env_file[2]\n"
           "4 policy.refused services.a.env_file\n"
           "4 policy.refused services.a.env_file\n"
           "5 policy.reserved-label services.a.labels\n"
           "5 policy.reserved-label services.a.labels\n"
           "6 policy.refused services.a.logging.driver\n"
           "7 compose.bad-value services.a.volumes[0]\n"
           "7 policy.bind-outside services.a.volumes\n"
           "7 policy.bind-outside services.a.volumes\n"
           "9 compose.bad-value services.a.secrets[0]\n"
           "11 policy.refused networks.n.name\n"
           "12 compose.unsupported-key secrets.c.external\n",
           "6 policy.refused services.a.logging\n"
           "6 policy.refused services.a.logging\n"
           "7 policy.refused services.a.volumes\n"
           "7 policy.refused services.a.volumes\n"
           "7 policy.bind-outside services.a.volumes\n"
           "8 policy.refused services.a.tmpfs\n"
           "8 policy.refused services.a.tmpfs\n"
           "8 policy.refused services.a.tmpfs\n"
           "11 policy.refused network_driver\n",
           "{\"services\":{\"a\":{\"allow\":[\"logging:path\",\"logging:size\",\"volumes:exec\",\"volumes:suid\","
           "\"tmpfs:exec\",\"tmpfs:dev\",\"tmpfs:suid\"],\"bind\":[\"/var/lib/tucomunidad/volumes/a/b\"]},"
           "\"*\":{\"allow\":[\"network_driver:macvlan\"]}}}");
}

/* However a fault is named, the search ends. */
static void test_the_search_ends(void **state)
{
    _cleanup_(buf_done) Buf b = BUF_INIT(200000);
    _cleanup_(compose_faults_done) ComposeFaults faults = {};

    (void) state;
    expect("services:\n  a: {image: x, container_name: box_b_1}\n  b: {image: x}\n  c: {image: x, container_name: "
           "secbox_b_1}\n",
           "4 compose.duplicate-container-name services.c.container_name\n", "", "");
    assert_int_equal(buf_puts(&b, "services:\n"), 0);
    for (int i = 0; i < 60; i++)
        assert_int_equal(buf_printf(&b, "  s%d: {image: x, restart: no!, tty: no!, init: no!}\n", i), 0);
    assert_int_equal(compose_find_faults(b.data, b.len, "c.yml", NULL, &faults), 0);
    assert_int_equal(faults.refused.n, 100);
    assert_true(faults.more);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_good_file),
        cmocka_unit_test(test_many_faults),
        cmocka_unit_test(test_a_misspelt_key_is_read_as_meant),
        cmocka_unit_test(test_one_fault_that_hides_all),
        cmocka_unit_test(test_what_the_policy_refuses),
        cmocka_unit_test(test_what_no_policy_allows),
        cmocka_unit_test(test_the_search_ends),
    };

    return cmocka_run_group_tests_name("compose-faults", tests, NULL, NULL);
}

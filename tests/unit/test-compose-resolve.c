/* SPDX-License-Identifier: MIT */
/* The normal form, key by key, and everything that is refused while services are put together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "compose/compose.h"
#include "lib/base/buf.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "tests/unit/resolve-text.h"

static const char *lookup(const char *key, void *userdata)
{
    (void) userdata;
    if (str_equal(key, "SET"))
        return "value";
    if (str_equal(key, "EMPTY"))
        return "";
    if (str_equal(key, "LITERAL"))
        return "a${b";
    return NULL;
}

static int read_env_file(const char *path, char **ret, void *userdata, Error *err)
{
    static const struct {
        const char *path, *text;
    } files[] = {
        { "a.env", "export A=from-a # c\nB=\"from-a\"\n" },
        { "sub/b.env", "B=from-b\n" },
        { "/etc/tucomunidad/secbox.env", "C=abs\n" },
        { "bad.env", "A='open\n" },
        { "literal.env", "A=${X}\n" },
    };

    (void) userdata;
    for (size_t i = 0; i < ELEMENTSOF(files); i++)
        if (str_equal(path, files[i].path)) {
            *ret = strdup(files[i].text);
            return *ret ? 0 : -ENOMEM;
        }
    return error_set_at(err, ENOENT, "file.read", path, 0, NULL, "there is no such file");
}

static const ComposeResolveOptions resolve_options = {
    .project = "box",
    .base_dir = "/srv/box/",
    .lookup = lookup,
    .read_env_file = read_env_file,
};

static ComposeProject *resolve_good(const char *text)
{
    return resolve_good_text(text, &resolve_options);
}

/* --- one key of one service: {KEY: VALUE} against the member of config --- */

static const struct {
    const char *key, *value;
    const char *expected; /* JSON, or the error id */
} members[] = {
    { "command", "nginx -g 'daemon off;'", "[\"nginx\",\"-g\",\"daemon off;\"]" },
    { "command", "[a b, c]", "[\"a b\",\"c\"]" },
    { "command", "[]", "[]" },
    { "command", "''", "[]" },
    { "command", "a\\ b \"c \\\" \\n $$d\" 'e \\ f'g \"\"", "[\"a b\",\"c \\\" \\\\n $d\",\"e \\\\ fg\",\"\"]" },
    { "command", "sh -c \"echo it's\"", "[\"sh\",\"-c\",\"echo it's\"]" },
    { "command", "sh -c 'open", "compose.bad-value" },
    { "command", "a\\", "compose.bad-value" },
    { "entrypoint", "/bin/x --y", "[\"/bin/x\",\"--y\"]" },
    { "entrypoint", "['', x]", "[\"\",\"x\"]" },
    { "ports", "[22:22]", "[{\"address\":\"\",\"host\":\"22\",\"container\":\"22\",\"protocol\":\"tcp\"}]" },
    { "ports", "[80]", "[{\"address\":\"\",\"host\":\"\",\"container\":\"80\",\"protocol\":\"tcp\"}]" },
    { "ports", "['0.0.0.0:80:8080/udp']",
      "[{\"address\":\"\",\"host\":\"80\",\"container\":\"8080\",\"protocol\":\"udp\"}]" },
    { "ports", "['127.0.0.1::80']",
      "[{\"address\":\"127.0.0.1\",\"host\":\"\",\"container\":\"80\",\"protocol\":\"tcp\"}]" },
    { "ports", "['[0::1]:1:2']", "[{\"address\":\"::1\",\"host\":\"1\",\"container\":\"2\",\"protocol\":\"tcp\"}]" },
    { "ports", "[7-8:9-10]",
      "[{\"address\":\"\",\"host\":\"7\",\"container\":\"9\",\"protocol\":\"tcp\"},"
      "{\"address\":\"\",\"host\":\"8\",\"container\":\"10\",\"protocol\":\"tcp\"}]" },
    { "ports", "[{target: 53, published: '5353', host_ip: 10.0.0.1, protocol: udp, mode: host, name: dns}]",
      "[{\"address\":\"10.0.0.1\",\"host\":\"5353\",\"container\":\"53\",\"protocol\":\"udp\"}]" },
    { "ports", "[{target: 53}]", "[{\"address\":\"\",\"host\":\"\",\"container\":\"53\",\"protocol\":\"tcp\"}]" },
    { "ports", "[0:80]", "compose.bad-port" },
    { "ports", "[65536]", "compose.bad-port" },
    { "ports", "['80:']", "compose.bad-port" },
    { "ports", "[':80']", "compose.bad-port" },
    { "ports", "['']", "compose.bad-port" },
    { "ports", "['80/icmp']", "compose.bad-port" },
    { "ports", "['a:80']", "compose.bad-port" },
    { "ports", "['host:80:80']", "compose.bad-port" },
    { "ports", "['300.0.0.1:80:80']", "compose.bad-port" },
    { "ports", "[8000-8010:80]", "[{\"address\":\"\",\"host\":\"8000\",\"container\":\"80\",\"protocol\":\"tcp\"}]" },
    { "ports", "['8000:80', '8000-8001:81', '8000-8010:82']",
      "[{\"address\":\"\",\"host\":\"8000\",\"container\":\"80\",\"protocol\":\"tcp\"},"
      "{\"address\":\"\",\"host\":\"8001\",\"container\":\"81\",\"protocol\":\"tcp\"},"
      "{\"address\":\"\",\"host\":\"8002\",\"container\":\"82\",\"protocol\":\"tcp\"}]" },
    { "ports", "['8000-8001:80', '8001:81', '8000:82']", "compose.bad-port" },
    { "ports", "[8000-8010:80-81]", "compose.bad-port" },
    { "ports", "[53:53/UDP]", "[{\"address\":\"\",\"host\":\"53\",\"container\":\"53\",\"protocol\":\"udp\"}]" },
    { "ports", "['0.0.0.0:53:53', '[::]:53:53']",
      "[{\"address\":\"\",\"host\":\"53\",\"container\":\"53\",\"protocol\":\"tcp\"},"
      "{\"address\":\"::\",\"host\":\"53\",\"container\":\"53\",\"protocol\":\"tcp\"}]" },
    { "ports", "['[::1]:53:53', '[::]:53:53']", "compose.duplicate-port" },
    { "ports", "['[::]:53:53', '[::1]:53:53']", "compose.duplicate-port" },
    { "ports", "[9-8]", "compose.bad-port" },
    { "ports", "[1-65535]", "compose.bad-port" },
    { "ports", "[{published: 80}]", "compose.bad-port" },
    { "ports", "['-80:80']", "compose.bad-port" },
    { "ports", "['80:80', '80:81']", "compose.duplicate-port" },
    { "volumes", "['./d:/d']",
      "[{\"type\":\"bind\",\"source\":\"/srv/box/d\",\"target\":\"/d\",\"read_only\":false}]" },
    { "volumes", "['./a/../b/./c//d:/x/./y/:ro']",
      "[{\"type\":\"bind\",\"source\":\"/srv/box/b+c+d\",\"target\":\"/x/y\",\"read_only\":true}]" },
    { "volumes", "[{type: bind, source: a/b, target: /b}, './a/c:/c', './a/b:/d']",
      "[{\"type\":\"bind\",\"source\":\"/srv/box/a+b\",\"target\":\"/b\",\"read_only\":false},"
      "{\"type\":\"bind\",\"source\":\"/srv/box/a+c\",\"target\":\"/c\",\"read_only\":false},"
      "{\"type\":\"bind\",\"source\":\"/srv/box/a+b\",\"target\":\"/d\",\"read_only\":false}]" },
    { "volumes", "['/srv/app/:/app/']",
      "[{\"type\":\"bind\",\"source\":\"/srv/app\",\"target\":\"/app\",\"read_only\":false}]" },
    { "volumes", "['.:/d']", "[{\"type\":\"bind\",\"source\":\"/srv/box\",\"target\":\"/d\",\"read_only\":false}]" },
    { "volumes", "['/:/host:ro,rslave,z']",
      "[{\"type\":\"bind\",\"source\":\"/\",\"target\":\"/"
      "host\",\"read_only\":true,\"options\":[\"rslave\"]}]" },
    { "volumes", "['v:/d']", "[{\"type\":\"volume\",\"source\":\"v\",\"target\":\"/d\",\"read_only\":false}]" },
    { "volumes", "[{type: bind, source: /a, target: /b, read_only: true, bind: {create_host_path: false}}]",
      "[{\"type\":\"bind\",\"source\":\"/a\",\"target\":\"/b\",\"read_only\":true}]" },
    { "volumes", "[{type: tmpfs, target: /t, tmpfs: {size: 1g, mode: 700}}]",
      "[{\"type\":\"tmpfs\",\"source\":\"\",\"target\":\"/t\",\"read_only\":false,"
      "\"options\":[\"size=1073741824\",\"mode=700\"]}]" },
    { "volumes", "[/data]", "[{\"type\":\"volume\",\"source\":\"a_data\",\"target\":\"/data\",\"read_only\":false}]" },
    { "volumes", "[data]", "compose.bad-value" },
    { "volumes", "['${EMPTY}:/data']", "compose.bad-value" },
    { "volumes", "['../x:/d']", "compose.bad-value" },
    { "volumes", "['./a/../../x:/d']", "compose.bad-value" },
    { "volumes", "['/a/../etc:/d']", "compose.bad-value" },
    { "volumes", "['/a/..:/d']", "compose.bad-value" },
    { "volumes", "['~/x:/d']", "compose.bad-value" },
    { "volumes", "['C:\\x:/d']", "compose.bad-value" },
    { "volumes", "['c:/x:/d']", "compose.bad-value" },
    { "volumes", "['a/b:/d']", "compose.bad-value" },
    { "volumes", "['/a:d']", "compose.bad-value" },
    { "volumes", "['/a:/']", "compose.bad-value" },
    { "volumes", "['/a:/b/..']", "compose.bad-value" },
    { "volumes", "['/a:/d:U']", "compose.bad-value" },
    { "volumes", "['/a:/d:ro:x']", "compose.bad-value" },
    { "volumes", "['v:/d:rslave']", "compose.bad-value" },
    { "volumes", "['/a:/d', '/b:/d/']", "compose.bad-value" },
    { "volumes", "['w:/d']", "compose.missing-volume" },
    { "volumes", "[{type: bind, target: /d}]", "compose.bad-value" },
    { "volumes", "[{type: npipe, source: a, target: /d}]", "compose.bad-value" },
    { "volumes", "[{type: bind, source: 'a:b', target: /d}]", "compose.bad-value" },
    { "volumes", "[{source: /a, target: /d}]", "compose.bad-type" },
    { "labels", "[b=1, a, c=x=y]", "{\"a\":\"\",\"b\":\"1\",\"c\":\"x=y\"}" },
    { "labels", "{b: 1, a: , c: true}", "{\"a\":\"\",\"b\":\"1\",\"c\":\"true\"}" },
    { "labels", "[a=1, a=2]", "compose.bad-value" },
    { "labels", "['=1']", "compose.bad-value" },
    { "networks", "", "{\"default\":{}}" },
    { "networks", "[n, default]", "{\"default\":{},\"n\":{}}" },
    { "networks", "{n: {aliases: [b, a, b]}}", "{\"n\":{\"aliases\":[\"a\",\"b\"]}}" },
    { "networks", "[nope]", "compose.missing-network" },
    { "networks", "[n, n]", "compose.bad-value" },
    { "network_mode", "host", "\"host\"" },
    { "network_mode", "none", "\"none\"" },
    { "network_mode", "'container:x'", "\"container:x\"" },
    { "network_mode", "'container:'", "compose.name" },
    { "network_mode", "'container:/x'", "compose.name" },
    { "pid", "'service:x'", "compose.network-mode" },
    { "pid", "'container:x'", "\"container:x\"" },
    { "ipc", "'container:x'", "\"container:x\"" },
    { "uts", "'container:x'", "compose.unsupported-key" },
    { "runtime", "nvidia", "\"nvidia\"" },
    { "network_mode", "slirp4netns", "compose.network-mode" },
    { "networks", "{n: {ipv4_address: 10.1.2.3}}", "{\"n\":{\"ipv4_address\":\"10.1.2.3\"}}" },
    { "networks", "{n: {ipv4_address: 10.1.2}}", "compose.bad-value" },
    { "network_mode", "'service:x'", "compose.network-mode" },
    { "restart", "", "\"no\"" },
    { "restart", "no", "\"no\"" },
    { "restart", "on-failure:5", "\"on-failure:5\"" },
    { "restart", "on-failure:x", "compose.bad-value" },
    { "restart", "sometimes", "compose.bad-value" },
    { "privileged", "true", "true" },
    { "privileged", "'yes'", "true" },
    { "privileged", "On", "true" },
    { "privileged", "${NOPE:-true}", "true" },
    { "privileged", "false", "false" },
    { "privileged", "1", "compose.bad-value" },
    { "cap_add", "[net_admin, CAP_NET_ADMIN, All]", "[\"ALL\",\"NET_ADMIN\"]" },
    { "cap_add", "['NET ADMIN']", "compose.bad-value" },
    { "devices", "[/dev/b, '/dev/a:/dev/c', '/dev/d:r', '/dev/e:/dev/e:rw']",
      "[\"/dev/a:/dev/c:rwm\",\"/dev/b:/dev/b:rwm\",\"/dev/d:/dev/d:r\",\"/dev/e:/dev/e:rw\"]" },
    { "devices", "['/dev/by-path/pci-0:1:1.0-0:/dev/video:rw', '/dev/by-path/pci-0:1:1.0-1', nvidia.com/gpu=all]",
      "[\"/dev/by-path/pci-0:1:1.0-0:/dev/video:rw\","
      "\"/dev/by-path/pci-0:1:1.0-1:/dev/by-path/pci-0:1:1.0-1:rwm\",\"nvidia.com/gpu=all\"]" },
    { "devices", "[{source: /dev/a, target: /dev/b, permissions: r}, {source: '/dev/c:0'}, {source: a.example/b=c}]",
      "[\"/dev/a:/dev/b:r\",\"/dev/c:0:/dev/c:0:rwm\",\"a.example/b=c\"]" },
    { "devices", "[{target: /dev/b}]", "compose.bad-value" },
    { "devices", "[{source: /dev/b, permissions: x}]", "compose.bad-value" },
    { "devices", "[dri]", "compose.bad-value" },
    { "devices", "['/dev/a:/dev/a:xyz']", "compose.bad-value" },
    { "security_opt", "[label=disable]", "[\"label=disable\"]" },
    { "sysctls", "[net.a=1]", "{\"net.a\":\"1\"}" },
    { "ulimits", "{nofile: 10, core: {soft: 0, hard: -1}}",
      "{\"core\":{\"soft\":\"0\",\"hard\":\"-1\"},\"nofile\":{\"soft\":\"10\",\"hard\":\"10\"}}" },
    { "ulimits", "{nofile: {soft: 1}}", "compose.bad-value" },
    { "ulimits", "{nofile: x}", "compose.bad-value" },
    { "tmpfs", "/run", "[\"/run\"]" },
    { "tmpfs", "[/run, '/tmp:size=1m']", "[\"/run\",\"/tmp:size=1m\"]" },
    { "shm_size", "64M", "\"67108864\"" },
    { "mem_limit", "1.5g", "\"1610612736\"" },
    { "mem_limit", "512", "\"512\"" },
    { "mem_limit", "512kb", "\"524288\"" },
    { "mem_limit", "512MiB", "\"536870912\"" },
    { "mem_limit", "2Gi", "\"2147483648\"" },
    { "mem_limit", "512 MB", "\"536870912\"" },
    { "mem_limit", "1 g", "\"1073741824\"" },
    { "mem_limit", "64B", "\"64\"" },
    { "mem_limit", "0", "compose.bad-value" },
    { "mem_limit", "lots", "compose.bad-value" },
    { "mem_limit", "1  g", "compose.bad-value" },
    { "mem_limit", "1bb", "compose.bad-value" },
    { "mem_limit", "1xib", "compose.bad-value" },
    { "mem_limit", "1mibi", "compose.bad-value" },
    { "mem_limit", "99999999999999999999g", "compose.bad-value" },
    { "mem_limit", "-1", "compose.bad-value" },
    { "cpus", "0.50", "\"0.5\"" },
    { "cpus", ".5", "\"0.5\"" },
    { "cpus", "2", "\"2\"" },
    { "cpus", "010.0", "\"10\"" },
    { "cpus", "0", "compose.bad-value" },
    { "cpus", "1e3", "compose.bad-value" },
    { "cpus", "-1", "compose.bad-value" },
    { "cpus", "1.", "\"1\"" },
    { "cpus", ".", "compose.bad-value" },
    { "stop_grace_period", "1m30s", "\"90s\"" },
    { "stop_grace_period", "1500ms", "\"2s\"" },
    { "stop_grace_period", "10", "compose.bad-duration" },
    { "stop_grace_period", "2h", "compose.bad-duration" },
    { "stop_grace_period", "48h", "compose.bad-duration" },
    { "stop_grace_period", "s", "compose.bad-duration" },
    { "stop_grace_period", "-1s", "compose.bad-duration" },
    { "stop_grace_period", "1s 2s", "compose.bad-duration" },
    { "expose", "[80, 53/udp, '80/tcp']", "[\"53/udp\",\"80/tcp\"]" },
    { "expose", "[3000-3002, 53/UDP]", "[\"3000/tcp\",\"3001/tcp\",\"3002/tcp\",\"53/udp\"]" },
    { "expose", "[90-80]", "compose.bad-port" },
    { "expose", "[80/icmp]", "compose.bad-port" },
    { "expose", "[1-65535]", "compose.bad-port" },
    { "extra_hosts", "['b:10.0.0.1', 'a=::1']", "[\"a:::1\",\"b:10.0.0.1\"]" },
    { "extra_hosts", "{a: 10.0.0.1}", "[\"a:10.0.0.1\"]" },
    { "extra_hosts", "['a:[::1]', 'b=host-gateway']", "[\"a:::1\",\"b:host-gateway\"]" },
    { "extra_hosts", "{a: '[fd00::1]'}", "[\"a:fd00::1\"]" },
    { "extra_hosts", "[a]", "compose.bad-value" },
    { "extra_hosts", "['a:b']", "compose.bad-value" },
    { "logging", "{driver: journald, options: {tag: x}}", "{\"driver\":\"journald\",\"options\":{\"tag\":\"x\"}}" },
    { "healthcheck", "{test: 'curl x', interval: 1m, retries: 2}",
      "{\"interval\":\"60s\",\"retries\":\"2\",\"test\":[\"CMD-SHELL\",\"curl x\"]}" },
    { "healthcheck", "{test: [CMD, a, b c]}", "{\"test\":[\"CMD\",\"a\",\"b c\"]}" },
    { "healthcheck", "{test: [NONE]}", "{\"test\":[\"NONE\"]}" },
    { "healthcheck", "{disable: true, interval: 1s}", "{\"test\":[\"NONE\"]}" },
    { "healthcheck", "{test: [curl, x]}", "compose.bad-value" },
    { "healthcheck", "{test: [CMD]}", "compose.bad-value" },
    { "healthcheck", "{test: [CMD-SHELL, a, b]}", "compose.bad-value" },
    { "healthcheck", "{test: []}", "compose.bad-value" },
    { "healthcheck", "{test: ''}", "compose.bad-value" },
    { "healthcheck", "{test: x, interval: 0, timeout: 0s}",
      "{\"interval\":\"30s\",\"test\":[\"CMD-SHELL\",\"x\"],\"timeout\":\"30s\"}" },
    { "healthcheck", "{test: x, retries: 0}", "{\"test\":[\"CMD-SHELL\",\"x\"]}" },
    { "healthcheck", "{test: x, retries: -1}", "compose.bad-value" },
    { "healthcheck", "{interval: 5s}", "{\"interval\":\"5s\"}" },
    { "healthcheck", "{disable: false, interval: 5s}", "{\"interval\":\"5s\"}" },
    { "deploy", "{replicas: two}", "compose.bad-value" },
    { "deploy", "{mode: global-job}", "compose.unsupported-key" },
    { "scale", "2.5", "compose.bad-value" },
    { "hostname", "\"a\\nb\"", "compose.bad-value" },
    { "dns", "1.1.1.1", "[\"1.1.1.1\"]" },
    { "dns", "[dns.example]", "compose.bad-value" },
    { "pid", "host", "\"host\"" },
    { "ipc", "shareable", "\"shareable\"" },
    { "userns_mode", "'auto:size=1'", "compose.unsupported-key" },
    { "cpu_quota", "50000", "\"50000\"" },
    { "cpu_period", "999", "compose.bad-value" },
    { "pids_limit", "-1", "\"-1\"" },
    { "pids_limit", "0", "compose.bad-value" },
    { "oom_score_adj", "-1", "compose.bad-value" },
    { "memswap_limit", "-1", "\"-1\"" },
    { "user", "1000:1000", "\"1000:1000\"" },
    { "container_name", "'a b'", "compose.name" },
    { "pull_policy", "build", "compose.bad-value" },
    { "image", "''", "compose.no-image" },
    { "image", "'-v'", "compose.bad-value" },
    { "image", "'a b'", "compose.bad-value" },
    { "image", "$${X}", "compose.bad-value" },
};

static void test_members(void **state)
{
    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(members); i++) {
        _cleanup_(compose_project_freep) ComposeProject *p = NULL;
        _cleanup_(error_done) Error err = {};
        _cleanup_(freep) char *printed = NULL;
        char text[1024];
        bool image = str_equal(members[i].key, "image");
        int r;

        snprintf(text, sizeof(text), "services:\n  a:\n    %s\n    %s: %s\nnetworks: {n: }\nvolumes: {v: }\n",
                 image ? "tty: false" : "image: x", members[i].key, members[i].value);
        r = resolve_text(text, &resolve_options, &p, &err);
        if (str_starts(members[i].expected, "compose.")) {
            if (r >= 0 || p || !str_equal(err.id, members[i].expected))
                fail_msg("%s: %s: %d %s (%s), expected %s", members[i].key, members[i].value, r, error_id(&err),
                         error_message(&err, r), members[i].expected);
            assert_string_equal(err.file, "c.yml");
            assert_true(err.line >= 2 && err.line <= 4);
            assert_true(str_starts(err.key, "services.a."));
            continue;
        }
        if (r < 0)
            fail_msg("%s: %s: %s %s", members[i].key, members[i].value, error_id(&err), error_message(&err, r));
        printed = json_print(cJSON_GetObjectItemCaseSensitive(p->services[0].config, members[i].key));
        if (!str_equal(printed, members[i].expected))
            fail_msg("%s: %s gave %s, expected %s", members[i].key, members[i].value, printed ? printed : "(none)",
                     members[i].expected);
    }
}

static void test_fields(void **state)
{
    _cleanup_(compose_project_freep) ComposeProject *p =
        resolve_good("services:\n"
                     "  web:\n"
                     "    image: r/x:1\n"
                     "    pull_policy: if_not_present\n"
                     "    depends_on: {db: {condition: service_healthy, required: true}, gone: {required: false}}\n"
                     "    ports: ['127.0.0.1:80:80', '[::1]:81:81', '82:82/udp', 83]\n"
                     "    volumes: ['/etc/localtime:/etc/localtime:ro', '/etc/localtime:/x', 'v:/v', 'v:/w']\n"
                     "    networks: [z, a]\n"
                     "    stop_grace_period: 30s\n"
                     "    healthcheck: {test: x, timeout: 500ms, start_period: 0s}\n"
                     "    deploy: {replicas: 1, mode: replicated, resources: {limits: {cpus: '1', memory: 1m},\n"
                     "             reservations: {memory: 1k}}}\n"
                     "    network_mode: ~\n"
                     "    command:\n"
                     "  db: {image: pg, container_name: the-db, network_mode: bridge, healthcheck: {disable: true}}\n"
                     "networks: {a: , z: , unused: }\n"
                     "volumes: {v: , unused: }\n");
    const ComposeService *web = compose_service_find(p, "web"), *db = compose_service_find(p, "db");
    _cleanup_(freep) char *health = json_print(web->healthcheck);
    _cleanup_(freep) char *conditions = json_print(web->depends_conditions);
    _cleanup_(freep) char *networks = json_print(p->networks);
    _cleanup_(freep) char *volumes = json_print(p->volumes);
    _cleanup_(freep) char *ports = strv_join(web->host_ports, " ");
    _cleanup_(freep) char *binds = strv_join(web->bind_sources, " ");
    _cleanup_(freep) char *attached = strv_join(web->networks, " ");

    (void) state;
    assert_null(compose_service_find(p, "nope"));
    assert_string_equal(p->name, "box");
    assert_int_equal(p->n_services, 2);
    assert_ptr_equal(db, &p->services[0]);
    assert_int_equal(web->line, 2);
    assert_string_equal(web->container_name, "box_web_1");
    assert_string_equal(db->container_name, "the-db");
    assert_string_equal(web->image, "r/x:1");
    assert_string_equal(web->pull_policy, "missing");
    assert_null(db->pull_policy);
    assert_string_equal(web->restart, "no");
    assert_int_equal(web->stop_grace_seconds, 30);
    assert_int_equal(db->stop_grace_seconds, 10);
    assert_int_equal(strv_length(web->depends_on), 1);
    assert_string_equal(conditions, "{\"db\":\"service_healthy\"}");
    assert_string_equal(ports, "127.0.0.1:80/tcp [::1]:81/tcp :82/udp");
    assert_string_equal(binds, "/etc/localtime");
    assert_string_equal(attached, "a z");
    assert_int_equal(strv_length(web->volumes), 1);
    assert_string_equal(db->networks[0], "default");
    assert_string_equal(health,
                        "{\"test\":[\"CMD-SHELL\",\"x\"],\"interval_usec\":\"30000000\",\"timeout_usec\":\"500000\","
                        "\"start_period_usec\":\"0\",\"retries\":3}");
    assert_true(json_bool(db->healthcheck, "disable", false));
    assert_string_equal(json_string(web->config, "cpus"), "1");
    assert_string_equal(json_string(web->config, "mem_limit"), "1048576");
    assert_string_equal(json_string(web->config, "mem_reservation"), "1024");
    assert_false(cJSON_HasObjectItem(web->config, "command"));
    assert_false(cJSON_HasObjectItem(db->config, "network_mode"));
    assert_string_equal(networks,
                        "{\"a\":{\"name\":\"box_a\",\"external\":false},\"default\":{\"name\":\"box_default\","
                        "\"external\":false},\"z\":{\"name\":\"box_z\",\"external\":false}}");
    assert_string_equal(volumes, "{\"v\":{\"name\":\"box_v\",\"external\":false}}");
}

static void test_config_is_sorted(void **state)
{
    _cleanup_(compose_project_freep) ComposeProject *p = resolve_good(
        "services: {a: {working_dir: /, user: x, image: x, cap_add: [A], annotations: [a=b], init: true}}\n");

    (void) state;
    for (const cJSON *item = p->services[0].config->child; item->next; item = item->next)
        assert_true(strcmp(item->string, item->next->string) < 0);
}

static void test_definitions(void **state)
{
    _cleanup_(compose_project_freep) ComposeProject *p =
        resolve_good("services: {a: {image: x, networks: [n, e, o, default], volumes: ['v:/v', 'w:/w']}}\n"
                     "networks:\n"
                     "  n: {driver: bridge, internal: true, enable_ipv6: false, attachable: true, labels: [b=1, a],\n"
                     "      ipam: {driver: default, config: [{subnet: 10.0.0.0/24, gateway: 10.0.0.1}]}}\n"
                     "  e: {external: true}\n"
                     "  o: {external: {name: old}}\n"
                     "  default: {name: mine, driver: macvlan, driver_opts: {parent: eth0}}\n"
                     "volumes:\n"
                     "  v: {driver: local, driver_opts: {type: none, o: bind, device: /x}}\n"
                     "  w: {external: true, name: real}\n");
    _cleanup_(freep) char *networks = json_print(p->networks);
    _cleanup_(freep) char *volumes = json_print(p->volumes);

    (void) state;
    assert_string_equal(networks, "{\"default\":{\"name\":\"mine\",\"external\":false,\"driver\":\"macvlan\","
                                  "\"driver_opts\":{\"parent\":\"eth0\"}},"
                                  "\"e\":{\"name\":\"e\",\"external\":true},"
                                  "\"n\":{\"name\":\"box_n\",\"external\":false,\"internal\":true,"
                                  "\"ipam\":{\"config\":[{\"subnet\":\"10.0.0.0/24\",\"gateway\":\"10.0.0.1\"}]},"
                                  "\"labels\":{\"a\":\"\",\"b\":\"1\"}},"
                                  "\"o\":{\"name\":\"old\",\"external\":true}}");
    assert_string_equal(volumes, "{\"v\":{\"name\":\"box_v\",\"external\":false,\"driver_opts\":{\"device\":\"/x\","
                                 "\"o\":\"bind\",\"type\":\"none\"}},\"w\":{\"name\":\"real\",\"external\":true}}");
}

static void test_environment(void **state)
{
    static const struct {
        const char *yaml;
        const char *expected;
    } env[] = {
        { "environment: {B: 1, A: yes, E: '', SET: }", "{\"A\":\"yes\",\"B\":\"1\",\"E\":\"\",\"SET\":\"value\"}" },
        { "environment: [B=1, 'A=x=y', SET, EMPTY]", "{\"A\":\"x=y\",\"B\":\"1\",\"EMPTY\":\"\",\"SET\":\"value\"}" },
        { "environment: {A: '${SET}-${NOPE:-d}', B: '$$5', C: '$SET'}",
          "{\"A\":\"value-d\",\"B\":\"$5\",\"C\":\"value\"}" },
        { "environment: {A: \"x\\ny\"}", "{\"A\":\"x\\ny\"}" },
        { "env_file: a.env", "{\"A\":\"from-a\",\"B\":\"from-a\"}" },
        { "env_file: [./a.env, x/../sub/b.env, /etc/tucomunidad/secbox.env]",
          "{\"A\":\"from-a\",\"B\":\"from-b\",\"C\":\"abs\"}" },
        { "env_file: [{path: none.env, required: false}, {path: a.env}]", "{\"A\":\"from-a\",\"B\":\"from-a\"}" },
        { "env_file: {path: a.env}\n    environment: {B: mine, A: }", "{\"A\":\"from-a\",\"B\":\"mine\"}" },
        { "environment:", "{}" },
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(env); i++) {
        _cleanup_(compose_project_freep) ComposeProject *p = NULL;
        _cleanup_(freep) char *printed = NULL;
        char text[512];

        snprintf(text, sizeof(text), "services:\n  a:\n    image: x\n    %s\n", env[i].yaml);
        p = resolve_good(text);
        printed = json_print(p->services[0].environment);
        assert_string_equal(printed, env[i].expected);
    }
}

#define LONG "0123456789012345678901234567890123456789012345678901234567890123456789"

static const struct {
    const char *text;
    const char *id;
    unsigned line;
    const char *key;
    const char *says;
} refused[] = {
    { "services:\n  a:\n    image: x\n    volumes:\n      - $DATA_DIR:/d\n", "interpolate.unset", 5,
      "services.a.volumes[0]", "DATA_DIR" },
    { "services: {a: {image: 'x:${1}'}}\n", "interpolate.syntax", 1, "services.a.image", NULL },
    { "services: {a: {image: '${TAG:?pin it}'}}\n", "interpolate.required", 1, "services.a.image", "pin it" },
    { "services:\n  a:\n    image: x\n    environment:\n      - KEY\n", "interpolate.unset", 5,
      "services.a.environment[0]", "KEY" },
    { "services:\n  a:\n    image: x\n    environment:\n      KEY:\n", "interpolate.unset", 5,
      "services.a.environment.KEY", "add KEY=" },
    { "services: {a: {image: x, environment: {A: '$${X}'}}}\n", "compose.literal-variable", 1,
      "services.a.environment.A", "A" },
    { "services: {a: {image: x, environment: {A: $LITERAL}}}\n", "compose.literal-variable", 1, NULL, NULL },
    { "services: {a: {image: x, environment: [LITERAL]}}\n", "compose.literal-variable", 1, NULL, NULL },
    { "services: {a: {image: x, env_file: literal.env}}\n", "compose.literal-variable", 1, "services.a.env_file",
      NULL },
    { "services: {a: {image: x, environment: {A B: 1}}}\n", "compose.bad-value", 1, NULL, NULL },
    { "services: {a: {image: x, environment: ['A B=1']}}\n", "compose.bad-value", 1, NULL, NULL },
    { "services: {a: {image: x, environment: [A=1, A=2]}}\n", "compose.bad-value", 1, NULL, "twice" },
    { "services: {a: {image: x, env_file: none.env}}\n", "file.read", 0, NULL, "service a" },
    { "services: {a: {image: x, env_file: bad.env}}\n", "env.syntax", 1, NULL, "service a" },
    { "services: {a: {image: x, env_file: ../a.env}}\n", "compose.bad-value", 1, NULL, "leaves" },
    { "services:\n  a: {image: x, volumes: ['./d:/d']}\n  b: {image: x, volumes: ['./d/e/f:/f']}\n",
      "compose.bad-value", 3, "services.b.volumes[0]", "./d/e/f lies in ./d" },
    { "services:\n  a: {image: x, volumes: ['./d/e/f:/f']}\n  b: {image: x, volumes: ['./d/e:/d']}\n",
      "compose.bad-value", 3, "services.b.volumes[0]", "./d/e/f lies in ./d/e" },
    { "services: {a: {image: x, volumes: ['./d/e:/e', './d+e:/f']}}\n", "compose.bad-value", 1, NULL,
      "./d+e and ./d/e would be the same" },
    { "services: {a: {image: x, volumes: ['./" LONG LONG LONG LONG "/x:/d']}}\n", "compose.bad-value", 1, NULL,
      "too long" },
    { "services: {a: {}}\n", "compose.no-image", 1, "services.a", NULL },
    { "services: {a: {image: }}\n", "compose.no-image", 1, "services.a", NULL },
    { "services:\n  a: {image: x, container_name: c}\n  b: {image: x, container_name: c}\n",
      "compose.duplicate-container-name", 3, "services.b.container_name", "services a and b" },
    { "services:\n  a: {image: x}\n  b: {image: x, container_name: box_a_1}\n", "compose.duplicate-container-name", 3,
      NULL, NULL },
    { "services:\n  a: {image: x, ports: [80:80]}\n  b: {image: x, ports: [80:81]}\n", "compose.duplicate-port", 3,
      "services.b.ports", "by the service a" },
    { "services:\n  a: {image: x, ports: ['10.0.0.1:80:80']}\n  b: {image: x, ports: [80:81]}\n",
      "compose.duplicate-port", 3, NULL, NULL },
    { "services:\n  a: {image: x, ports: [80:80]}\n  b: {image: x, ports: ['10.0.0.1:80:81']}\n",
      "compose.duplicate-port", 3, NULL, NULL },
    { "services:\n  a: {image: x, ports: [80-90:80-90]}\n  b: {image: x, ports: [85:1]}\n", "compose.duplicate-port", 3,
      NULL, NULL },
    { "services:\n  a: {image: x, depends_on: [b]}\n", "compose.missing-dependency", 2, "services.a.depends_on[0]",
      NULL },
    { "services:\n  a: {image: x, depends_on: [b]}\n  b: {image: x, profiles: [d]}\n", "compose.missing-dependency", 2,
      NULL, "profiles" },
    { "services: {a: {image: x, depends_on: {a: }}}\n", "compose.dependency-cycle", 1, NULL, "itself" },
    { "services: {a: {image: x, depends_on: {b: {condition: ready}}}, b: {image: x}}\n", "compose.bad-value", 1, NULL,
      NULL },
    { "services:\n  s: {image: x, depends_on: [a]}\n  a: {image: x, depends_on: [b]}\n  b: {image: x, "
      "depends_on: [c]}\n"
      "  c: {image: x, depends_on: [a]}\n",
      "compose.dependency-cycle", 3, "services.a.depends_on", "a → b → c → a" },
    { "services:\n  a: {image: x, network_mode: 'container:vpn'}\n  b: {image: x, container_name: vpn}\n",
      "compose.network-mode", 2, NULL, "service:b" },
    { "services: {a: {image: x, links: [b]}}\n", "compose.missing-dependency", 1, "services.a.links[0]",
      "no service b" },
    { "services: {a: {image: x, links: [a]}}\n", "compose.dependency-cycle", 1, NULL, "itself" },
    { "services:\n  a: {image: x, links: ['b:c']}\n  b: {image: x}\n  c: {image: x}\n", "compose.bad-value", 2, NULL,
      "of its own" },
    { "services:\n  a: {image: x, links: [b]}\n  b: {image: x, network_mode: none}\n", "compose.network-mode", 2, NULL,
      "in common" },
    { "services:\n  a: {image: x, links: [b]}\n  b: {image: x, pid: 'service:a'}\n", "compose.dependency-cycle", 2,
      NULL, NULL },
    { "services: {a: {image: x, volumes: [/b-c, /b/c]}}\n", "compose.bad-value", 1, "services.a.volumes[1]", "a_b-c" },
    { "services: {a: {image: x, gpus: some}}\n", "compose.bad-value", 1, "services.a.gpus", NULL },
    { "services: {a: {image: x, gpus: [{count: 0}]}}\n", "compose.bad-value", 1, NULL, "1 to 64" },
    { "services: {a: {image: x, gpus: [{driver: amdgpu}]}}\n", "compose.unsupported-key", 1, NULL, "`devices`" },
    { "services: {a: {image: x, gpus: [{driver: cdi}]}}\n", "compose.bad-value", 1, NULL, "device_ids" },
    { "services: {a: {image: x, gpus: [{device_ids: ['a:b']}]}}\n", "compose.bad-value", 1, NULL, "no name" },
    { "name: 'a b'\nservices: {a: {image: x}}\n", "compose.name", 1, "name", "a b" },
    { "services: {a: {image: x, scale: 0}}\n", "compose.no-services", 1, "services", "0 times" },
    { "services: {a: {image: x, scale: 65}}\n", "compose.bad-value", 1, "services.a.scale", "0 to 64" },
    { "services: {a: {image: x, networks: [n], network_mode: bridge}}\nnetworks: {n: }\n", "compose.network-mode", 1,
      NULL, NULL },
    { "services: {a: {image: x, networks: [n]}}\nnetworks: {n: {driver: host}}\n", "compose.network-mode", 2, NULL,
      NULL },
    { "services:\n  a: {image: x}\n  b: {image: x, network_mode: 'service:a', extra_hosts: ['c:10.0.0.1']}\n",
      "compose.network-mode", 3, "services.b.extra_hosts", "write `extra_hosts` there" },
    { "services: {a: {image: x, uts: host, hostname: b}}\n", "compose.bad-value", 1, "services.a.hostname", NULL },
    { "services: {a: {image: x, cpu_quota: 50000, cpus: 1}}\n", "compose.bad-value", 1, "services.a.cpus",
      "remove them" },
    { "services: {a: {image: x}}\nnetworks: {n: {external: true, driver: x}}\n", "compose.bad-value", 2, "networks.n",
      NULL },
    { "services: {a: {image: x}}\nvolumes: {v: {name: 'a/b'}}\n", "compose.name", 2, "volumes.v.name", NULL },
    { "services: {a: {image: x, cpus: 1, deploy: {resources: {limits: {cpus: 2}}}}}\n", "compose.bad-value", 1, NULL,
      "cpus" },
};

static void test_refused(void **state)
{
    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(refused); i++) {
        _cleanup_(error_done) Error err = {};
        ComposeProject *p = NULL;
        int r = resolve_text(refused[i].text, &resolve_options, &p, &err);

        if (r >= 0 || p || !str_equal(err.id, refused[i].id) || err.line != refused[i].line)
            fail_msg("%s: %d %s line %u (%s), expected %s line %u", refused[i].text, r, error_id(&err), err.line,
                     error_message(&err, r), refused[i].id, refused[i].line);
        if (refused[i].key && !str_equal(err.key, refused[i].key))
            fail_msg("%s: place %s", refused[i].text, err.key ? err.key : "(none)");
        if (refused[i].says && !strstr(error_message(&err, r), refused[i].says))
            fail_msg("%s: %s", refused[i].text, error_message(&err, r));
    }
}

static void test_ports_that_go_together(void **state)
{
    _cleanup_(compose_project_freep) ComposeProject *p =
        resolve_good("services:\n  a: {image: x, ports: ['10.0.0.1:80:80', '80:80/udp', 80, 81]}\n"
                     "  b: {image: x, ports: ['10.0.0.2:80:80', 80]}\n");

    (void) state;
    assert_int_equal(strv_length(p->services[0].host_ports), 2);
}

static void test_order(void **state)
{
    _cleanup_(compose_project_freep) ComposeProject *p = resolve_good(
        "services:\n  d: {image: x, depends_on: [c, b]}\n  a: {image: x}\n  b: {image: x, depends_on: [a]}\n"
        "  c: {image: x, depends_on: [b]}\n  e: {image: x}\n");
    char order[6] = "";

    (void) state;
    for (size_t i = 0; i < 5; i++)
        order[i] = p->services[i].name[0];
    assert_string_equal(order, "abcde");
}

static void test_env_file_refused(void **state)
{
    const char *text = "services: {a: {image: x, env_file: a.env}}\n";
    const ComposeResolveOptions options = { .project = "box", .base_dir = "/", .lookup = lookup };
    _cleanup_(compose_file_freep) ComposeFile *f = NULL;
    _cleanup_(error_done) Error err = {};
    ComposeProject *p = NULL;

    (void) state;
    assert_int_equal(compose_parse(text, strlen(text), "c.yml", &f, NULL), 0);
    assert_true(compose_resolve(f, &options, &p, &err) < 0);
    assert_string_equal(err.id, "compose.unsupported-key");
}

static void test_required_keys(void **state)
{
    const char *text = "services:\n"
                       "  a:\n"
                       "    image: ${Z}:${SET}\n"
                       "    environment: [P, SET, 'Q=${Y:-${X}}', 'R=${W:?m}', 'S=${EMPTY:?m}', 'T=${V:-d}', U=$Z]\n"
                       "  b: {image: x, environment: {O: , N: ''}}\n"
                       "  c: {image: x, env_file: a.env, environment: [FROM_FILE]}\n"
                       "  d: {image: $NEVER, profiles: [debug]}\n"
                       "volumes: {v: {name: 'n-${M}'}}\n";
    _cleanup_(compose_file_freep) ComposeFile *f = NULL;
    _cleanup_(strv_freep) char **keys = NULL, **known = NULL, **unknown = NULL;
    _cleanup_(freep) char *joined = NULL, *others = NULL;

    (void) state;
    assert_int_equal(compose_parse(text, strlen(text), "c.yml", &f, NULL), 0);
    assert_int_equal(compose_required_keys(f, lookup, NULL, &keys, NULL), 0);
    joined = strv_join(keys, " ");
    assert_string_equal(joined, "EMPTY M O P W X Z");
    assert_int_equal(compose_used_variables(f, lookup, NULL, &known, &unknown, NULL), 0);
    others = strv_join(unknown, " ");
    assert_true(strv_length(known) == 1 && str_equal(known[0], "SET"));
    assert_string_equal(others, "M V W X Y Z");
}

static void test_no_required_keys(void **state)
{
    const char *text = "services: {a: {image: '${SET}'}}\n";
    const char *bad = "services: {a: {image: '${'}}\n";
    _cleanup_(compose_file_freep) ComposeFile *f = NULL, *g = NULL;
    _cleanup_(strv_freep) char **keys = NULL;
    _cleanup_(error_done) Error err = {};
    char **none = NULL;

    (void) state;
    assert_int_equal(compose_parse(text, strlen(text), "c.yml", &f, NULL), 0);
    assert_int_equal(compose_required_keys(f, lookup, NULL, &keys, NULL), 0);
    assert_int_equal(strv_length(keys), 0);
    assert_int_equal(compose_parse(bad, strlen(bad), "c.yml", &g, NULL), 0);
    assert_true(compose_required_keys(g, lookup, NULL, &none, &err) < 0);
    assert_string_equal(err.id, "interpolate.syntax");
    assert_null(none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_config_is_sorted),
        cmocka_unit_test(test_definitions),
        cmocka_unit_test(test_environment),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_ports_that_go_together),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_env_file_refused),
        cmocka_unit_test(test_required_keys),
        cmocka_unit_test(test_no_required_keys),
    };

    return cmocka_run_group_tests_name("compose-resolve", tests, NULL, NULL);
}

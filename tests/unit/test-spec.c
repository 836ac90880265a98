/* SPDX-License-Identifier: MIT */
/* What libpod gets: each key in its member, and nothing that the policy has not seen. */
#include "tests/unit/compose-project.h"

#include <errno.h>

#include "compose/model/service-key.h"
#include "compose/policy/policy-rules.h"
#include "compose/spec/spec.h"

static int find_device(const char *path _unused_, SpecDevice *ret, void *userdata _unused_, Error *err _unused_)
{
    *ret = (SpecDevice) { strdup("/dev/real"), true, 8, 1 };
    return ret->path ? 0 : -ENOMEM;
}

static const SpecOptions options = { .image = "cafe", .version = "42", .folder = "/stage", .device = find_device };

static int describe(const char *service, cJSON **ret, Error *err)
{
    _cleanup_(freep) char *json =
        str_format("{\"services\":{\"web\":{%s}},\"volumes\":{\"store\":{\"name\":\"box_store\"}},"
                   "\"networks\":{\"front\":{\"name\":\"box_front\"}}}",
                   service);
    _cleanup_(compose_project_freep) ComposeProject *p = project_from_json(json);

    return compose_spec(p, &p->services[0], &options, ret, err);
}

/* The member at a path with dots, printed. */
static void assert_member(const char *config, const char *path, const char *wanted)
{
    _cleanup_(freep) char *service = str_format("\"config\":{%s}", config), *copy = strdup(path), *text = NULL;
    _cleanup_(cJSON_Deletep) cJSON *spec = NULL;
    _cleanup_(error_done) Error err = {};
    const cJSON *at;
    int r = describe(service, &spec, &err);

    if (r < 0)
        fail_msg("%s: %s", config, error_message(&err, r));
    at = spec;
    for (char *name = copy, *dot; name; name = dot) {
        dot = strchr(name, '.');
        if (dot)
            *dot++ = '\0';
        at = cJSON_GetObjectItemCaseSensitive(at, name);
    }
    text = at ? json_print(at) : strdup("nothing");
    if (!str_equal(text, wanted))
        fail_msg("%s: %s is %s, not %s", config, path, text, wanted);
}

static void keys_become_members(void **state _unused_)
{
    static const struct {
        const char *config, *path, *wanted;
    } cases[] = {
        { "\"cpus\":\"0.5\"", "resource_limits.cpu", "{\"period\":100000,\"quota\":50000}" },
        { "\"cpus\":\"12.00001\"", "resource_limits.cpu.quota", "1200001" },
        { "\"mem_limit\":\"9223372036854775807\"", "resource_limits.memory.limit", "9223372036854775807" },
        { "\"pids_limit\":\"-1\"", "resource_limits.pids.limit", "0" },
        { "\"ulimits\":{\"nofile\":{\"soft\":\"1\",\"hard\":\"-1\"}}", "r_limits",
          "[{\"type\":\"nofile\",\"hard\":18446744073709551615,\"soft\":1}]" },
        { "\"ulimits\":{}", "r_limits", "nothing" },
        { "\"stop_signal\":\"SIGUSR1\"", "stop_signal", "10" },
        { "\"stop_signal\":\"rtmin+3\"", "stop_signal", "37" },
        { "\"stop_signal\":\"SIGRTMAX-14\"", "stop_signal", "50" },
        { "\"stop_signal\":\"SIGIOT\"", "stop_signal", "6" },
        { "\"logging\":{\"options\":{\"max-size\":\"10485760\"}}", "log_configuration.size", "10485760" },
        { "\"group_add\":[\"keep-groups\"]", "groups", "nothing" },
        { "\"group_add\":[\"keep-groups\"]", "annotations", "{\"run.oci.keep_original_groups\":\"1\"}" },
        { "\"group_add\":[\"7\"]", "groups", "[\"7\"]" },
        { "\"stop_grace_period\":\"30s\"", "stop_timeout", "30" },
        { "\"user\":\"7\"", "stop_timeout", "10" },
        { "\"restart\":\"on-failure:3\"", "restart_policy", "\"on-failure\"" },
        { "\"restart\":\"on-failure:3\"", "restart_tries", "3" },
        { "\"entrypoint\":[]", "entrypoint", "[\"\"]" },
        { "\"entrypoint\":[\"/a b\"]", "entrypoint", "[\"/a b\"]" },
        { "\"expose\":[\"53/tcp\",\"53/udp\"]", "expose", "{\"53\":\"tcp,udp\"}" },
        { "\"ports\":[{\"address\":\"0.0.0.0\",\"host\":\"80\",\"container\":\"8080\",\"protocol\":\"tcp\"}]",
          "portmappings", "[{\"container_port\":8080,\"host_port\":80,\"protocol\":\"tcp\"}]" },
        { "\"ports\":[{\"address\":\"[::1]\",\"host\":\"\",\"container\":\"53\",\"protocol\":\"udp\"}]", "portmappings",
          "[{\"host_ip\":\"::1\",\"container_port\":53,\"protocol\":\"udp\"}]" },
        { "\"tmpfs\":[\"/run:size=1m\"]", "mounts",
          "[{\"type\":\"tmpfs\",\"source\":\"tmpfs\",\"destination\":\"/run\",\"options\":[\"size=1m\",\"noexec\"]}]" },
        { "\"tmpfs\":[\"/run:exec\"]", "mounts",
          "[{\"type\":\"tmpfs\",\"source\":\"tmpfs\",\"destination\":\"/run\",\"options\":[\"exec\"]}]" },
        { "\"volumes\":[{\"type\":\"volume\",\"source\":\"store\",\"target\":\"/d\",\"read_only\":true}]", "volumes",
          "[{\"Name\":\"box_store\",\"Dest\":\"/d\",\"Options\":[\"ro\"]}]" },
        { "\"volumes\":[{\"type\":\"bind\",\"source\":\"/a:b\",\"target\":\"/c:d\",\"options\":[\"rslave\"]}]",
          "mounts", "[{\"type\":\"bind\",\"source\":\"/a:b\",\"destination\":\"/c:d\",\"options\":[\"rslave\"]}]" },
        { "\"read_only\":true,\"tmpfs\":[\"/tmp\",\"/run\"],\"volumes\":[{\"type\":\"volume\",\"source\":\"store\","
          "\"target\":\"/var/tmp\"}]",
          "mounts",
          "[{\"type\":\"tmpfs\",\"source\":\"tmpfs\",\"destination\":\"/tmp\",\"options\":[\"noexec\"]},"
          "{\"type\":\"tmpfs\",\"source\":\"tmpfs\",\"destination\":\"/run\",\"options\":[\"noexec\"]}]" },
        { "\"networks\":{\"front\":{\"aliases\":[\"web\",\"www\"]}}", "Networks",
          "{\"box_front\":{\"aliases\":[\"web\",\"www\"]}}" },
        { "\"logging\":{\"options\":{\"max-size\":\"10m\",\"tag\":\"t\"}}", "log_configuration",
          "{\"driver\":\"k8s-file\",\"size\":10000000,\"options\":{\"tag\":\"t\"}}" },
        { "\"security_opt\":[\"no-new-privileges:true\",\"seccomp=unconfined\"]", "no_new_privileges", "true" },
        { "\"security_opt\":[\"no-new-privileges:true\",\"seccomp=unconfined\"]", "seccomp_profile_path",
          "\"unconfined\"" },
        { "\"device_cgroup_rules\":[\"c 188:* rmw\"]", "device_cgroup_rule",
          "[{\"allow\":true,\"type\":\"c\",\"access\":\"rmw\",\"major\":188}]" },
        { "\"networks\":{\"front\":{\"ipv4_address\":\"10.1.2.3\"}}", "Networks.box_front.static_ips",
          "[\"10.1.2.3\"]" },
        { "\"networks\":{\"front\":{\"mac_address\":\"02:42:ac:11:65:43\"}}", "Networks.box_front.static_mac",
          "\"02:42:ac:11:65:43\"" },
        { "\"cpu_period\":\"100000\",\"cpu_quota\":\"50000\"", "resource_limits.cpu",
          "{\"period\":100000,\"quota\":50000}" },
        { "\"network_mode\":\"service:web\"", "netns", "{\"nsmode\":\"container\",\"value\":\"box_web_1\"}" },
        { "\"network_mode\":\"container:far\"", "netns", "{\"nsmode\":\"container\",\"value\":\"far\"}" },
        { "\"pid\":\"host\"", "pidns.nsmode", "\"host\"" },
        { "\"pid\":\"service:web\"", "pidns", "{\"nsmode\":\"container\",\"value\":\"box_web_1\"}" },
        { "\"ipc\":\"shareable\"", "ipcns", "{\"nsmode\":\"shareable\"}" },
        { "\"devices\":[\"/dev/a:/dev/b:rw\",\"x.example/y=z\"]", "devices",
          "[{\"path\":\"/dev/a:/dev/b:rw\"},{\"path\":\"x.example/y=z\"}]" },
        { "\"devices\":[\"/dev/a:0:/dev/b:rw\"]", "devices", "[{\"path\":\"/dev/real:/dev/b:rw\"}]" },
        { "\"devices\":[\"/dev/a:/dev/b:0:r\"]", "mounts",
          "[{\"type\":\"bind\",\"source\":\"/dev/real\",\"destination\":\"/dev/b:0\"}]" },
        { "\"devices\":[\"/dev/a:/dev/b:0:r\"]", "device_cgroup_rule",
          "[{\"allow\":true,\"type\":\"b\",\"access\":\"r\",\"major\":8,\"minor\":1}]" },
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++)
        assert_member(cases[i].config, cases[i].path, cases[i].wanted);
}

static void values_are_not_touched(void **state _unused_)
{
    _cleanup_(cJSON_Deletep) cJSON *spec = NULL;
    _cleanup_(error_done) Error err = {};

    assert_int_equal(describe("\"environment\":{\"A\":\"two\\nlines $B ${C}\"}", &spec, &err), 0);
    assert_string_equal(json_string(cJSON_GetObjectItemCaseSensitive(spec, "env"), "A"), "two\nlines $B ${C}");
}

static void what_podman_has_no_word_for(void **state _unused_)
{
    static const char *const cases[] = { "\"stop_signal\":\"SIGNOT\"",
                                         "\"group_add\":[\"keep-groups\",\"7\"]",
                                         "\"security_opt\":[\"magic=1\"]",
                                         "\"device_cgroup_rules\":[\"c 188 rmw\"]",
                                         "\"logging\":{\"options\":{\"max-size\":\"much\"}}",
                                         "\"volumes\":[{\"type\":\"npipe\",\"source\":\"a\",\"target\":\"/c\"}]",
                                         "\"volumes\":[{\"type\":\"bind\",\"source\":\"a\",\"target\":\"/c\"}]",
                                         "\"volumes\":[{\"type\":\"volume\",\"source\":\"none\",\"target\":\"/c\"}]",
                                         "\"networks\":{\"none\":{}}",
                                         "\"storage_opt\":\"1\"",
                                         "\"command\":[]",
                                         "\"pod\":\"mine\"",
                                         "\"mem_limit\":\"1e3\"" };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(freep) char *service = str_format("\"config\":{%s}", cases[i]);
        _cleanup_(cJSON_Deletep) cJSON *spec = NULL;
        _cleanup_(error_done) Error err = {};

        if (describe(service, &spec, &err) >= 0)
            fail_msg("%s was taken", cases[i]);
        assert_string_equal(error_id(&err), "spec.unsupported");
        assert_true(str_starts(err.key, "services.web."));
    }
}

/* Keys that may have any value without asking the owner: nothing that they say reaches beyond the container. */
static const char *const harmless[] = {
    "cap_drop",
    "command",
    "cpu_period",
    "cpu_quota",
    "cpu_shares",
    "cpus",
    "cpuset",
    "dns",
    "dns_opt",
    "dns_search",
    "entrypoint",
    "expose",
    "extra_hosts",
    "healthcheck",
    "hostname",
    "init",
    "mem_limit",
    "mem_reservation",
    "memswap_limit",
    "networks",
    "oom_score_adj",
    "pids_limit",
    "ports",
    "read_only",
    "restart",
    "shm_size",
    "stdin_open",
    "stop_grace_period",
    "stop_signal",
    "tty",
    "user",
    "working_dir",
    NULL,
};

static void each_member_is_guarded_or_harmless(void **state _unused_)
{
    for (const ComposeKey *k = compose_service_keys; k->key; k++) {
        bool is_harmless = strv_contains((char *const *) harmless, k->key);

        if ((k->member != NULL) != (k->spec != NULL))
            fail_msg("%s has a member without a function, or a function without a member", k->key);
        if (k->spec && k->unsupported)
            fail_msg("%s is refused, and yet it becomes %s", k->key, k->member);
        if (k->spec && !k->policy && !is_harmless)
            fail_msg("%s becomes %s, no policy guards it, and it is not listed as harmless", k->key, k->member);
        if (is_harmless && (!k->spec || k->policy))
            fail_msg("%s is listed as harmless and is guarded, or becomes nothing", k->key);
    }
}

/* An owner's word for what is refused afterwards would be worth nothing. */
static void what_a_policy_can_allow_becomes_something(void **state _unused_)
{
    size_t n = 0;

    for (const ComposeKey *k = compose_service_keys; k->key; k++) {
        if (!policy_key_is_known(k->key))
            continue;
        n++;
        if (k->unsupported || !k->spec || !k->normalise)
            fail_msg("policy.json can allow %s, and no container gets it", k->key);
    }
    assert_true(n > 15);
}

/* What a renderer writes for podman-compose, libpod is told, too. */
static void both_engines_know_the_same_keys(void **state _unused_)
{
    for (const ComposeKey *k = compose_service_keys; k->key; k++)
        if (k->render && !k->spec)
            fail_msg("%s goes to podman-compose and not to libpod", k->key);
}

/* Members that no key stands for are ours, the same for every service. */
static void nothing_else_is_said(void **state _unused_)
{
    static const char *const ours[] = { "name",           "image",     "systemd",
                                        "sdnotifyMode",   "httpproxy", "stop_timeout",
                                        "restart_policy", "labels",    "netns",
                                        "Networks",       NULL };
    _cleanup_(cJSON_Deletep) cJSON *spec = NULL;
    _cleanup_(error_done) Error err = {};
    const cJSON *member;

    assert_int_equal(describe("", &spec, &err), 0);
    cJSON_ArrayForEach(member, spec) {
        if (!strv_contains((char *const *) ours, member->string))
            fail_msg("%s is said of every service", member->string);
    }
}

static void networks_and_volumes(void **state _unused_)
{
    _cleanup_(compose_project_freep) ComposeProject *p = project_from_json(
        "{\"services\":{\"web\":{}},"
        "\"networks\":{\"front\":{\"name\":\"box_front\",\"external\":false,\"internal\":true,\"labels\":{\"a\":\"b\"},"
        "\"ipam\":{\"config\":[{\"subnet\":\"10.1.0.0/16\",\"gateway\":\"10.1.0.1\",\"ip_range\":\"10.1.2.0/24\"}]}}},"
        "\"volumes\":{\"store\":{\"name\":\"box_store\",\"driver_opts\":{\"type\":\"tmpfs\"}}}}");
    _cleanup_(cJSON_Deletep) cJSON *network = NULL, *volume = NULL;
    _cleanup_(freep) char *n = NULL, *v = NULL;

    assert_int_equal(compose_spec_network(p, cJSON_GetObjectItemCaseSensitive(p->networks, "front"), &network, NULL),
                     0);
    assert_int_equal(compose_spec_volume(p, cJSON_GetObjectItemCaseSensitive(p->volumes, "store"), &volume, NULL), 0);
    n = json_print(network);
    v = json_print(volume);
    assert_string_equal(
        n, "{\"name\":\"box_front\",\"driver\":\"bridge\",\"dns_enabled\":true,\"internal\":true,"
           "\"subnets\":[{\"subnet\":\"10.1.0.0/16\",\"gateway\":\"10.1.0.1\",\"lease_range\":"
           "{\"start_ip\":\"10.1.2.1\",\"end_ip\":\"10.1.2.255\"}}],"
           "\"labels\":{\"io.podman.compose.project\":\"box\",\"com.docker.compose.project\":\"box\",\"a\":\"b\"}}");
    assert_string_equal(v, "{\"Name\":\"box_store\",\"Options\":{\"type\":\"tmpfs\"},\"Label\":"
                           "{\"io.podman.compose.project\":\"box\",\"com.docker.compose.project\":\"box\"}}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_become_members),
        cmocka_unit_test(values_are_not_touched),
        cmocka_unit_test(what_podman_has_no_word_for),
        cmocka_unit_test(each_member_is_guarded_or_harmless),
        cmocka_unit_test(what_a_policy_can_allow_becomes_something),
        cmocka_unit_test(both_engines_know_the_same_keys),
        cmocka_unit_test(nothing_else_is_said),
        cmocka_unit_test(networks_and_volumes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* Every compose feature that equals root is refused by default, named, and allowed by the entry that the
 * refusal names. */
#include "tests/unit/compose-project.h"

#include <errno.h>

#include "compose/policy/policy.h"
#include "lib/base/paths.h"

static ComposePolicy *policy_of(const char *text)
{
    _cleanup_(error_done) Error err = {};
    ComposePolicy *p = NULL;
    int r = policy_parse(text, text ? strlen(text) : 0, "policy.json", &p, &err);

    if (r < 0)
        fail_msg("%s: %s", text, error_message(&err, r));
    return p;
}

/* The resolved check of one service "web" with this config. */
static int check_config(const char *config, const char *policy_text, Error *err)
{
    _cleanup_(policy_freep) ComposePolicy *policy = policy_of(policy_text);
    _cleanup_(freep) char *text = str_format("{\"services\":{\"web\":{\"config\":{%s}}}}", config);
    _cleanup_(compose_project_freep) ComposeProject *p = project_from_json(text);

    return compose_policy_check_project(p, policy, "box.yml", err);
}

/* As file text of the same service; a file that the schema refuses already is as good. */
static int check_file(const char *yaml, const char *policy_text, Error *err)
{
    _cleanup_(policy_freep) ComposePolicy *policy = policy_of(policy_text);
    _cleanup_(compose_file_freep) ComposeFile *f = NULL;
    int r = compose_parse(yaml, strlen(yaml), "box.yml", &f, err);

    return r < 0 ? r : compose_policy_check(f, policy, err);
}

typedef struct Refusal {
    const char *config; /* members of the normal form; NULL when the schema has no such key */
    const char *yaml;   /* the same under services.web, as a person writes it */
    const char *allow;  /* entry that lets it through; NULL when none does */
    const char *id;
} Refusal;

#define REFUSED "policy.refused"
#define OUTSIDE "policy.bind-outside"
#define MOUNT(path) "\"volumes\":[{\"type\":\"bind\",\"source\":\"" path "\",\"target\":\"/x\",\"read_only\":false}]"

static const Refusal refusals[] = {
    { "\"privileged\":true", "privileged: true", "privileged", REFUSED },
    { "\"cap_add\":[\"NET_ADMIN\"]", "cap_add: [NET_ADMIN]", "cap_add:NET_ADMIN", REFUSED },
    { "\"cap_add\":[\"SYS_ADMIN\"]", "cap_add: [CAP_SYS_ADMIN]", "cap_add", REFUSED },
    { "\"cap_add\":[\"ALL\"]", "cap_add: [all]", "cap_add:ALL", REFUSED },
    { "\"devices\":[\"/dev/sda:/dev/sda:rwm\"]", "devices: [/dev/sda]", "devices", REFUSED },
    { "\"devices\":[\"/dev/dri:/dev/dri:rwm\"]", "devices: [\"/dev/dri:/dev/dri\"]", "devices:/dev/dri", REFUSED },
    { "\"devices\":[\"/dev/by-path/pci-0:1-0:/dev/video:rw\"]", "devices: [\"/dev/by-path/pci-0:1-0:/dev/video:rw\"]",
      "devices:/dev/by-path/pci-0:1-0", REFUSED },
    { "\"devices\":[\"/dev/sda:/dev/sda:rwm\"]", "devices: [{source: /dev/sda}]", "devices:/dev/sda", REFUSED },
    { "\"devices\":[\"nvidia.com/gpu=all\"]", "gpus: all", "devices:nvidia.com/gpu=all", REFUSED },
    { "\"devices\":[\"nvidia.com/gpu=0\"]",
      "deploy: {resources: {reservations: {devices: [{driver: nvidia, count: 1}]}}}", "devices:nvidia.com/gpu=0",
      REFUSED },
    { "\"device_cgroup_rules\":[\"b 8:* rwm\"]", "device_cgroup_rules: [\"b 8:* rwm\"]", "device_cgroup_rules",
      REFUSED },
    { MOUNT("/"), "volumes: [\"/:/x\"]", NULL, OUTSIDE },
    { MOUNT("/etc"), "volumes: [\"/etc:/x\"]", NULL, OUTSIDE },
    { MOUNT("/run"), "volumes: [\"/run:/x\"]", NULL, OUTSIDE },
    { MOUNT("/run/tucomunidad"), "volumes: [\"/run/tucomunidad:/x\"]", NULL, OUTSIDE },
    { MOUNT("/run/tucomunidad/secbox"), "volumes: [\"/run/tucomunidad/secbox:/x\"]", NULL, OUTSIDE },
    { MOUNT("/run/tucomunidad/services"), "volumes: [\"/run/tucomunidad/services:/x\"]", NULL, OUTSIDE },
    { MOUNT("/run/tucomunidad/services/nvr"), "volumes: [\"/run/tucomunidad/services/nvr:/x\"]", NULL, OUTSIDE },
    { MOUNT("/run/tucomunidad/services/web/x"), "volumes: [\"/run/tucomunidad/services/web/x:/x\"]", NULL, OUTSIDE },
    { MOUNT("/run/tucomunidad/secbox/x"), "volumes: [\"/run/tucomunidad/secbox/x:/x\"]", NULL, OUTSIDE },
    { MOUNT("/run/tucomunidad/sessions"), "volumes: [\"/run/tucomunidad/sessions:/x\"]", NULL, OUTSIDE },
    { MOUNT("/run/podman/podman.sock"), "volumes: [\"/run/podman/podman.sock:/x\"]", NULL, OUTSIDE },
    { MOUNT("/var/run/docker.sock"), "volumes: [\"/var/run/docker.sock:/x\"]", NULL, OUTSIDE },
    { MOUNT("/run/dbus/system_bus_socket"), "volumes: [\"/run/dbus/system_bus_socket:/x\"]", NULL, OUTSIDE },
    { MOUNT("/run/systemd/private"), "volumes: [\"/run/systemd/private:/x\"]", NULL, OUTSIDE },
    { MOUNT("/dev"), "volumes: [\"/dev:/x\"]", NULL, OUTSIDE },
    { MOUNT("/proc"), "volumes: [\"/proc:/x\"]", NULL, OUTSIDE },
    { MOUNT("/sys"), "volumes: [\"/sys:/x\"]", NULL, OUTSIDE },
    { MOUNT("/var/lib/tucomunidad"), "volumes: [\"/var/lib/tucomunidad:/x\"]", NULL, OUTSIDE },
    { MOUNT("/var/lib/tucomunidad/volumesx"), "volumes: [\"/var/lib/tucomunidad/volumesx:/x\"]", NULL, OUTSIDE },
    { MOUNT("/var/lib/tucomunidad/volumes/../mgmt-agent"), NULL, NULL, OUTSIDE },
    { MOUNT("/var/lib/tucomunidad/files/0123456789abcdef0123456789abcdef/a"),
      "volumes: [\"/var/lib/tucomunidad/files/0123456789abcdef0123456789abcdef/a:/x\"]", NULL, OUTSIDE },
    { MOUNT("/var/lib/tucomunidad/files"), "volumes: [\"/var/lib/tucomunidad/files:/x\"]", NULL, OUTSIDE },
    { "\"volumes\":[{\"type\":\"bind\",\"source\":\"/var/lib/tucomunidad/files/0123456789abcdef0123456789abcdef\","
      "\"target\":\"/x\",\"read_only\":true}]",
      "volumes: [\"/var/lib/tucomunidad/files/0123456789abcdef0123456789abcdef:/x:ro\"]", NULL, OUTSIDE },
    { "\"volumes\":[{\"type\":\"bind\",\"source\":\"/etc/shadow\",\"target\":\"/x\",\"read_only\":true}]", NULL, NULL,
      OUTSIDE }, /* as it is after `configs: {c: {file: /etc/shadow}}` */
    { MOUNT("/mnt/recordings"), "volumes: [\"/mnt/recordings:/x\"]", NULL, OUTSIDE },
    { "\"tmpfs\":[\"/run:exec\"]", "tmpfs: [\"/run:size=1m,exec\"]", "tmpfs:exec", REFUSED },
    { "\"tmpfs\":[\"/run:suid\"]", "tmpfs: \"/run:suid\"", "tmpfs", REFUSED },
    { "\"volumes\":[{\"type\":\"bind\",\"source\":\"/var/lib/tucomunidad/volumes/a\",\"target\":\"/x\","
      "\"read_only\":false,\"options\":[\"rshared\"]}]",
      "volumes: [\"/var/lib/tucomunidad/volumes/a:/x:rshared\"]", "volumes:rshared", REFUSED },
    { "\"network_mode\":\"host\"", "network_mode: host", "network_mode:host", REFUSED },
    { "\"network_mode\":\"container:x\"", "network_mode: \"container:x\"", "network_mode", REFUSED },
    { "\"network_mode\":\"ns:/run/netns/x\"", "network_mode: \"ns:/run/netns/x\"", "network_mode", REFUSED },
    { "\"pid\":\"host\"", "pid: host", "pid:host", REFUSED },
    { "\"pid\":\"container:secbox\"", "pid: \"container:secbox\"", "pid", REFUSED },
    { "\"ipc\":\"host\"", "ipc: host", "ipc:host", REFUSED },
    { "\"uts\":\"host\"", "uts: host", "uts", REFUSED },
    { "\"userns_mode\":\"host\"", "userns_mode: host", "userns_mode:host", REFUSED },
    { "\"cgroup\":\"host\"", "cgroup: host", "cgroup", REFUSED },
    { "\"cgroup_parent\":\"/\"", "cgroup_parent: \"/\"", "cgroup_parent", REFUSED },
    { "\"security_opt\":[\"seccomp=unconfined\"]", "security_opt: [\"seccomp=unconfined\"]",
      "security_opt:seccomp=unconfined", REFUSED },
    { "\"security_opt\":[\"apparmor=unconfined\"]", "security_opt: [\"apparmor:unconfined\"]", "security_opt",
      REFUSED },
    { "\"security_opt\":[\"label=disable\"]", "security_opt: [\"label=disable\"]", "security_opt", REFUSED },
    { "\"security_opt\":[\"no-new-privileges:false\"]", "security_opt: [\"no-new-privileges:false\"]", "security_opt",
      REFUSED },
    { "\"security_opt\":[\"unmask=ALL\"]", "security_opt: [\"unmask=ALL\"]", "security_opt:unmask=ALL", REFUSED },
    { "\"sysctls\":{\"kernel.shmmax\":\"1\"}", "sysctls: {kernel.shmmax: 1}", "sysctls:kernel.shmmax", REFUSED },
    { "\"sysctls\":{\"net.core.somaxconn\":\"1\"}", "sysctls: [net.core.somaxconn=1]", "sysctls", REFUSED },
    { "\"ulimits\":{\"core\":{\"soft\":\"1\",\"hard\":\"1\"}}", "ulimits: {core: 1}", "ulimits:core", REFUSED },
    { "\"runtime\":\"kata\"", "runtime: kata", "runtime:kata", REFUSED },
    { "\"group_add\":[\"disk\"]", "group_add: [disk]", "group_add:disk", REFUSED },
    { "\"annotations\":{\"run.oci.hooks.stdout\":\"x\"}", "annotations: {run.oci.hooks.stdout: x}", "annotations",
      REFUSED },
    { "\"logging\":{\"driver\":\"k8s-file\",\"options\":{\"path\":\"/etc/cron.d/x\"}}",
      "logging: {driver: k8s-file, options: {path: /etc/cron.d/x}}", "logging:path", REFUSED },
    { "\"logging\":{\"driver\":\"passthrough\"}", "logging: {driver: passthrough}", NULL, REFUSED },
    { "\"labels\":{\"io.tucomunidad.service\":\"x\"}", "labels: [io.tucomunidad.service=x]", NULL,
      "policy.reserved-label" },
    { "\"labels\":{\"io.podman.compose.project\":\"x\"}", "labels: {io.podman.compose.project: x}", NULL,
      "policy.reserved-label" },
    { "\"labels\":{\"com.docker.compose.service\":\"x\"}", "labels: {com.docker.compose.service: x}", NULL,
      "policy.reserved-label" },
    { "\"labels\":{\"PODMAN_SYSTEMD_UNIT\":\"ssh.service\"}", "labels: {PODMAN_SYSTEMD_UNIT: ssh.service}", NULL,
      "policy.reserved-label" },
    { "\"build\":{\"context\":\"/\"}", "build: /", NULL, REFUSED },
    { "\"extends\":{\"file\":\"/etc/x\"}", "extends: {file: /etc/x, service: a}", NULL, REFUSED },
    { "\"volumes_from\":[\"a\"]", "volumes_from: [a]", NULL, REFUSED },
    { "\"x-podman.rootfs\":\"/\"", NULL, NULL, REFUSED },
    { "\"no_such_key\":\"x\"", NULL, NULL, REFUSED },
    { NULL, "env_file: /etc/shadow", NULL, REFUSED },
    { NULL, "env_file: [../../../etc/shadow]", NULL, REFUSED },
};

static void f10_refused_by_default(void **state _unused_)
{
    for (size_t i = 0; i < ELEMENTSOF(refusals); i++) {
        const Refusal *t = &refusals[i];
        _cleanup_(error_done) Error err = {};

        if (!t->config)
            continue;
        if (check_config(t->config, NULL, &err) != -EPERM || strcmp(error_id(&err), t->id) != 0)
            fail_msg("%s: %s %s", t->config, error_id(&err), error_message(&err, 0));
        assert_string_equal(err.file, "box.yml");
        assert_int_equal(err.line, 7);
        assert_non_null(err.key);
        if (t->allow && !strstr(err.message, "policy.json"))
            fail_msg("%s: no advice in \"%s\"", t->config, err.message);
    }
}

static void allowed_by_entry(void **state _unused_)
{
    for (size_t i = 0; i < ELEMENTSOF(refusals); i++) {
        const Refusal *t = &refusals[i];
        _cleanup_(error_done) Error err = {}, other = {}, any = {};
        _cleanup_(freep) char *policy = NULL, *elsewhere = NULL, *everywhere = NULL;

        if (!t->config || !t->allow)
            continue;
        policy = str_format("{\"services\":{\"web\":{\"allow\":[\"%s\"]}}}", t->allow);
        elsewhere = str_format("{\"services\":{\"other\":{\"allow\":[\"%s\"]}}}", t->allow);
        everywhere = str_format("{\"services\":{\"*\":{\"allow\":[\"%s\"]}}}", t->allow);
        if (check_config(t->config, policy, &err) != 0 || check_config(t->config, everywhere, &any) != 0)
            fail_msg("%s with %s: %s", t->config, t->allow, error_message(&err, 0));
        if (check_config(t->config, elsewhere, &other) != -EPERM)
            fail_msg("%s is allowed by the entry of another service", t->config);
    }
}

static void f10_file_refused_by_default(void **state _unused_)
{
    for (size_t i = 0; i < ELEMENTSOF(refusals); i++) {
        const Refusal *t = &refusals[i];
        _cleanup_(error_done) Error err = {};
        _cleanup_(freep) char *yaml = NULL;
        int r;

        if (!t->yaml)
            continue;
        yaml = str_format("services:\n  web:\n    image: a\n    %s\n", t->yaml);
        r = check_file(yaml, NULL, &err);
        if (r >= 0)
            fail_msg("%s passed", t->yaml);
        if (r == -EPERM && (strcmp(error_id(&err), t->id) != 0 || err.line != 4))
            fail_msg("%s: %s line %u: %s", t->yaml, error_id(&err), err.line, error_message(&err, r));
        if (r != -EPERM && !str_starts(error_id(&err), "compose."))
            fail_msg("%s: %s: %s", t->yaml, error_id(&err), error_message(&err, r));
    }
}

static void f10_top_level_refused(void **state _unused_)
{
    static const char *const files[] = {
        "include: [other.yml]\nservices: {web: {image: a}}\n",
        ("services: {web: {image: a, volumes: [\"v:/x\"]}}\n"
         "volumes: {v: {driver_opts: {type: none, o: bind, device: /}}}\n"),
        "services: {web: {image: a, volumes: [\"v:/x\"]}}\nvolumes: {v: {external: true, name: /etc}}\n",
        "services: {web: {image: a, networks: [n]}}\nnetworks: {n: {external: true, name: host}}\n",
        "services: {web: {image: a, networks: [n]}}\nnetworks: {n: {external: {name: host}}}\n",
        "services: {web: {image: a, networks: [host]}}\nnetworks: {host: {external: true}}\n",
        "services: {web: {image: a, networks: [n]}}\nnetworks: {n: {driver: macvlan}}\n",
        "services: {web: {image: a, networks: [n]}}\nnetworks: {n: {labels: {io.tucomunidad.x: y}}}\n",
    };

    for (size_t i = 0; i < ELEMENTSOF(files); i++) {
        _cleanup_(error_done) Error err = {};

        if (check_file(files[i], NULL, &err) >= 0)
            fail_msg("%s passed", files[i]);
    }
}

static void ordinary_files_pass(void **state _unused_)
{
    static const char *const files[] = {
        /* podman gets secbox_private */
        "services: {web: {image: a, networks: [private]}}\nnetworks: {private: {internal: true}}\n",
        "services: {web: {image: a, networks: [host]}}\nnetworks: {host: }\n",
        "services: {web: {image: a, volumes: [\"/srv/app/:/app/\"]}}\n",
        "services: {web: {image: a, volumes: [{type: bind, source: //srv/./app/, target: /app}]}}\n",
    };

    for (size_t i = 0; i < ELEMENTSOF(files); i++) {
        _cleanup_(error_done) Error err = {};

        if (check_file(files[i], "{\"bind\":[\"/srv/app\"]}", &err) < 0)
            fail_msg("%s: %s", files[i], error_message(&err, -EPERM));
    }
}

static void definitions_refused(void **state _unused_)
{
    static const char *const projects[] = {
        "{\"services\":{\"web\":{\"config\":{\"volumes\":[{\"type\":\"volume\",\"source\":\"v\",\"target\":"
        "\"/x\"}]}}},"
        "\"volumes\":{\"v\":{\"name\":\"box_v\",\"driver_opts\":{\"type\":\"none\",\"o\":\"bind\",\"device\":"
        "\"/\"}}}}",
        "{\"services\":{\"web\":{\"config\":{\"volumes\":[{\"type\":\"volume\",\"source\":\"v\",\"target\":"
        "\"/x\"}]}}},"
        "\"volumes\":{\"v\":{\"name\":\"/etc\",\"external\":true}}}",
        "{\"services\":{\"web\":{\"config\":{\"networks\":{\"n\":{}}}}},"
        "\"networks\":{\"n\":{\"name\":\"host\",\"external\":true}}}",
        "{\"services\":{\"web\":{\"config\":{\"networks\":{\"n\":{}}}}},"
        "\"networks\":{\"n\":{\"name\":\"a:host\",\"external\":true}}}",
        "{\"services\":{\"web\":{\"config\":{\"networks\":{\"n\":{}}}}},"
        "\"networks\":{\"n\":{\"name\":\"box_n\",\"external\":false,\"driver\":\"macvlan\"}}}",
    };

    for (size_t i = 0; i < ELEMENTSOF(projects); i++) {
        _cleanup_(error_done) Error err = {};
        _cleanup_(policy_freep) ComposePolicy *policy = policy_of(NULL);
        _cleanup_(compose_project_freep) ComposeProject *p = project_from_json(projects[i]);

        assert_int_equal(compose_policy_check_project(p, policy, "box.yml", &err), -EPERM);
        assert_string_equal(error_id(&err), REFUSED);
    }
}

/* "x" has the entry; "web" gets at the same thing by its name. */
static void nothing_is_had_by_another_name(void **state _unused_)
{
#define VOLUME(key) "\"volumes\":[{\"type\":\"volume\",\"source\":\"" key "\",\"target\":\"/x\"}]"
    static const struct {
        const char *entry, *project;
    } cases[] = {
        { "network_mode:host", "{\"services\":{\"x\":{\"config\":{\"network_mode\":\"host\"}},"
                               "\"web\":{\"config\":{\"network_mode\":\"service:x\"}}}}" },
        { "network_mode:host", "{\"services\":{\"x\":{\"config\":{\"network_mode\":\"host\"}},"
                               "\"y\":{\"config\":{\"network_mode\":\"service:x\"}},"
                               "\"web\":{\"config\":{\"network_mode\":\"service:y\"}}}}" },
        { "network_driver:macvlan", "{\"services\":{\"x\":{\"config\":{\"networks\":{\"n\":{}}}},"
                                    "\"web\":{\"config\":{\"network_mode\":\"service:x\"}}},"
                                    "\"networks\":{\"n\":{\"name\":\"box_n\",\"driver\":\"macvlan\"}}}" },
        { "network_driver:macvlan", "{\"services\":{\"x\":{\"config\":{\"networks\":{\"n\":{}}}},"
                                    "\"web\":{\"config\":{\"networks\":{\"m\":{}}}}},"
                                    "\"networks\":{\"n\":{\"name\":\"box_n\",\"driver\":\"macvlan\"},"
                                    "\"m\":{\"name\":\"box_n\"}}}" },
        { "driver_opts", "{\"services\":{\"x\":{\"config\":{" VOLUME("a") "}},\"web\":{\"config\":{" VOLUME(
                             "b") "}}},"
                                  "\"volumes\":{\"a\":{\"name\":\"n\",\"driver_opts\":{\"device\":\"/srv/keys\"}},"
                                  "\"b\":{\"name\":\"n\"}}}" },
    };
#undef VOLUME

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(error_done) Error err = {}, none = {};
        _cleanup_(freep) char *only_x = str_format(
            "{\"services\":{\"x\":{\"allow\":[\"%s\"]},\"y\":{\"allow\":[\"%s\"]}}}", cases[i].entry, cases[i].entry);
        _cleanup_(freep) char *all = str_format("{\"services\":{\"*\":{\"allow\":[\"%s\"]}}}", cases[i].entry);
        _cleanup_(policy_freep) ComposePolicy *strict = policy_of(only_x), *open = policy_of(all);
        _cleanup_(compose_project_freep) ComposeProject *p = project_from_json(cases[i].project);

        if (compose_policy_check_project(p, strict, "box.yml", &err) != -EPERM ||
            strcmp(error_id(&err), REFUSED) != 0 || !strstr(err.message, "services.\"web\".allow"))
            fail_msg("%s: %s", cases[i].project, error_message(&err, 0));
        if (compose_policy_check_project(p, open, "box.yml", &none) != 0)
            fail_msg("%s: %s", cases[i].project, error_message(&none, 0));
    }
}

static void what_is_there_is_judged_by_what_it_is(void **state _unused_)
{
    _cleanup_(policy_freep) ComposePolicy *none = policy_of(NULL);
    _cleanup_(policy_freep) ComposePolicy *some =
        policy_of("{\"services\":{\"web\":{\"allow\":[\"driver_opts\",\"network_driver:macvlan\"]}}}");
    _cleanup_(cJSON_Deletep) cJSON *options = cJSON_Parse("{\"device\":\"/srv/keys\"}"), *empty = cJSON_Parse("{}");
    const ComposeService web = { .name = (char *) "web" };
    const struct {
        const char *kind, *driver;
        const cJSON *options;
        bool free;
    } cases[] = { { "volume", "local", empty, true },    { "volume", "local", NULL, true },
                  { "volume", "local", options, false }, { "volume", "nfs", empty, false },
                  { "network", "bridge", NULL, true },   { "network", "macvlan", NULL, false } };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(error_done) Error err = {};
        int r = compose_policy_check_present(none, &web, cases[i].kind, cases[i].driver, cases[i].options, &err);

        assert_int_equal(r, cases[i].free ? 0 : -EPERM);
        r = compose_policy_check_present(some, &web, cases[i].kind, cases[i].driver, cases[i].options, &err);
        assert_int_equal(r, 0);
    }
}

static void ordinary_keys_pass(void **state _unused_)
{
    static const char *const configs[] = {
        "\"privileged\":false",
        "\"cap_drop\":[\"ALL\"],\"security_opt\":[\"no-new-privileges\",\"no-new-privileges:true\"]",
        "\"command\":[\"sh\"],\"entrypoint\":[\"/init\"],\"user\":\"0\",\"read_only\":true,\"init\":true",
        "\"ports\":[{\"address\":\"\",\"host\":\"22\",\"container\":\"22\",\"protocol\":\"tcp\"}]",
        "\"tmpfs\":[\"/run\",\"/tmp:size=64m,mode=1777,noexec\"]",
        "\"ulimits\":{\"nofile\":{\"soft\":\"1\",\"hard\":\"2\"},\"nproc\":{\"soft\":\"1\"}}",
        "\"extra_hosts\":[\"a:1.2.3.4\"],\"shm_size\":\"1000\",\"mem_limit\":\"1000\"",
        "\"logging\":{\"driver\":\"journald\",\"options\":{\"tag\":\"x\"}},\"labels\":{\"io.example\":\"x\"}",
        "\"healthcheck\":{\"test\":[\"NONE\"]}",
        MOUNT("/var/lib/tucomunidad/volumes/secbox"),
        MOUNT("/run/tucomunidad/services/web"),
        "\"volumes\":[{\"type\":\"bind\",\"source\":\"/etc/localtime\",\"target\":\"/etc/localtime\","
        "\"read_only\":true},{\"type\":\"tmpfs\",\"source\":\"\",\"target\":\"/"
        "t\",\"options\":[\"size=1\"]}]",
    };

    for (size_t i = 0; i < ELEMENTSOF(configs); i++) {
        _cleanup_(error_done) Error err = {};

        if (check_config(configs[i], NULL, &err) != 0)
            fail_msg("%s: %s", configs[i], error_message(&err, 0));
    }
}

typedef struct BindCase {
    const char *policy;
    const char *source;
    bool read_only;
    bool allowed;
} BindCase;

static const BindCase binds[] = {
    { NULL, "/etc/localtime", true, true },
    { NULL, "/etc/localtime", false, false },
    { NULL, "/etc/timezone", true, true },
    { NULL, "/etc/tucomunidad/secbox.env", true, true },
    { NULL, "/etc/tucomunidad/secbox.env", false, false },
    { NULL, "/etc/tucomunidad/mgmt-agent.env", true, false },
    { NULL, "/var/lib/tucomunidad/volumes", false, false },
    { NULL, "/var/lib/tucomunidad/volumes", true, false },
    { NULL, "/var/lib/tucomunidad/volumes/a", false, true },
    { NULL, "/var/lib/tucomunidad/volumes/a/b", false, false },
    { "{\"bind\":[\"/var/lib/tucomunidad/volumes\"]}", "/var/lib/tucomunidad/volumes", false, false },
    { "{\"bind\":[\"/var/lib/tucomunidad/volumes\"]}", "/var/lib/tucomunidad/volumes/a", false, true },
    { "{\"bind\":[\"/var/lib/tucomunidad/volumes/*\"]}", "/var/lib/tucomunidad/volumes/a", false, true },
    { "{\"bind\":[\"/var/lib/tucomunidad/volumes/a/b\"]}", "/var/lib/tucomunidad/volumes/a/b", false, true },
    { NULL, "/var/lib/tucomunidad/volumes/./a", false, true },
    { NULL, "/var/lib/tucomunidad/volumes//a/", false, true },
    { NULL, "relative", false, false },
    { "{\"bind\":[]}", "/var/lib/tucomunidad/volumes/a", false, false },
    { "{\"bind\":[\"/srv\"]}", "/srv", false, true },
    { "{\"bind\":[\"/srv\"]}", "/srv/x", false, false },
    { "{\"bind\":[\"/srv\"]}", "/srvx", false, false },
    { "{\"bind\":[\"/srv/*\"]}", "/srv/x", false, true },
    { "{\"bind\":[\"/srv/*\"]}", "/srv/x/y", false, false },
    { "{\"bind\":[\"/srv/*\"]}", "/srv", false, false },
    { "{\"bind\":[\"/srv/*\"]}", "/srv/.ssh", false, false },
    { "{\"bind_ro\":[\"/srv/*\"]}", "/srv/x", false, false },
    { "{\"bind_ro\":[\"/srv/*\"]}", "/srv/x", true, true },
    { "{\"services\":{\"web\":{\"bind\":[\"/mnt/recordings\"]}}}", "/mnt/recordings", false, true },
    { "{\"services\":{\"nvr\":{\"bind\":[\"/mnt/recordings\"]}}}", "/mnt/recordings", false, false },
    { "{\"services\":{\"*\":{\"bind_ro\":[\"/mnt/recordings/*\"]}}}", "/mnt/recordings/cam1", true, true },
    { "{\"bind\":[\"/run\"]}", "/run/podman/podman.sock", false, false },
    { "{\"bind\":[\"/run/podman/podman.sock\"]}", "/run/podman/podman.sock", false, true },
    { "{\"bind\":[\"/run/podman\"]}", "/run/podman/podman.sock", false, false },
    { "{\"bind\":[\"/run/podman\"]}", "/run/podman", false, true },
    { "{\"bind\":[\"/run/podman/*\"]}", "/run/podman/podman.sock", false, false },
    { "{\"bind\":[\"/var/*\"]}", "/var/lib", false, false },
    { "{\"bind\":[\"/var/lib/*\"]}", "/var/lib/frigate", false, true },
    { "{\"bind\":[\"/var/lib/*\"]}", "/var/lib/containers", false, false },
    { "{\"bind\":[\"/home/*\"]}", "/home/tc", false, false },
    { "{\"bind\":[\"/home/tc/*\"]}", "/home/tc/.ssh", false, false },
    { "{\"bind\":[\"/home/tc/*\"]}", "/home/tc/recordings", false, true },
};

static void binds_by_components(void **state _unused_)
{
    for (size_t i = 0; i < ELEMENTSOF(binds); i++) {
        const BindCase *t = &binds[i];
        _cleanup_(error_done) Error err = {};
        _cleanup_(freep) char *config =
            str_format("\"volumes\":[{\"type\":\"bind\",\"source\":\"%s\",\"target\":\"/x\",\"read_only\":%s}]",
                       t->source, t->read_only ? "true" : "false");
        int r = check_config(config, t->policy, &err);

        if ((r == 0) != t->allowed || (r < 0 && strcmp(error_id(&err), OUTSIDE) != 0))
            fail_msg("%s with %s: %d %s", t->source, t->policy ? t->policy : "no policy", r, error_message(&err, r));
    }
}

/* What entries meant before goes on for what runs, and a new file is told how to write it now. */
static void old_meaning_is_kept_and_explained(void **state _unused_)
{
    static const struct {
        const char *policy, *source, *advice;
    } cases[] = {
        { "{\"bind\":[\"/srv\"]}", "/srv/a/b", "write \"/srv/a/*\"" },
        { NULL, "/var/lib/tucomunidad/volumes", "only the folders directly in it" },
        { NULL, "/var/lib/tucomunidad/volumes/a/b", "than the folders directly in it" },
        { NULL, "/run/tucomunidad/secbox", "/run/tucomunidad/services/web" },
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(policy_freep) ComposePolicy *policy = policy_of(cases[i].policy);
        _cleanup_(error_done) Error err = {};
        _cleanup_(freep) char *config =
            str_format("\"volumes\":[{\"type\":\"bind\",\"source\":\"%s\",\"target\":\"/x\"}]", cases[i].source);

        assert_false(policy_allows_bind(policy, "web", cases[i].source, false));
        assert_int_equal(check_config(config, cases[i].policy, &err), -EPERM);
        if (!strstr(err.message, cases[i].advice))
            fail_msg("%s: %s", cases[i].source, err.message);
        policy_keep_old_meaning(policy);
        assert_true(policy_allows_bind(policy, "web", cases[i].source, false));
        assert_false(policy_allows_bind(policy, "web", "/etc", false));
    }
}

static void the_main_service_keeps_its_folder(void **state _unused_)
{
    _cleanup_(policy_freep) ComposePolicy *policy = policy_of(NULL);

    assert_true(policy_allows_bind(policy, "secbox", "/run/tucomunidad/secbox", false));
    assert_true(policy_allows_bind(policy, "other", "/run/tucomunidad/services/other", false));
    assert_false(policy_allows_bind(policy, "other", "/run/tucomunidad/secbox", true));
    assert_false(policy_allows_bind(policy, "other", "/run/tucomunidad/services/secbox", true));
}

static void the_clock_may_be_a_link(void **state _unused_)
{
    _cleanup_(policy_freep) ComposePolicy *policy = policy_of(NULL);

    assert_true(policy_allows_link(policy, "web", "/etc/localtime", "/usr/share/zoneinfo/Etc/UTC", true));
    assert_false(policy_allows_link(policy, "web", "/etc/localtime", "/usr/share/zoneinfo/Etc/UTC", false));
    assert_false(policy_allows_link(policy, "web", "/etc/localtime", "/etc/shadow", true));
    assert_false(policy_allows_link(policy, "web", "/etc/timezone", "/usr/share/zoneinfo/Etc/UTC", true));
    assert_true(policy_allows_link(policy, "web", "/x", "/var/lib/tucomunidad/volumes/a", false));
    assert_false(policy_allows_link(policy, "web", "/etc/os-release", "/usr/lib/os-release", true));
}

static void the_name_of_the_system_is_a_link(void **state _unused_)
{
    _cleanup_(policy_freep) ComposePolicy *policy = policy_of("{\"bind_ro\":[\"/etc/os-release\"]}");

    assert_true(policy_allows_link(policy, "web", "/etc/os-release", "/usr/lib/os-release", true));
    assert_false(policy_allows_link(policy, "web", "/etc/os-release", "/usr/lib/os-release", false));
    assert_false(policy_allows_link(policy, "web", "/etc/os-release", "/etc/shadow", true));
}

static void images_by_prefix(void **state _unused_)
{
    static const struct {
        const char *policy;
        const char *image;
        bool allowed;
    } cases[] = {
        { NULL, "postgres:15", true },
        { NULL, "registry.example.com:5000/a/b@sha256:00", true },
        { NULL, "docker-archive:/etc/x.tar", false },
        { NULL, "--privileged", false },
        { NULL, "a b", false },
        { NULL, "", false },
        { "{\"images\":[]}", "postgres:15", false },
        { "{\"images\":[\"localhost/\",\"registry.example.com\"]}", "localhost/a:1", true },
        { "{\"images\":[\"localhost/\",\"registry.example.com\"]}", "registry.example.com/a", true },
        { "{\"images\":[\"localhost/\",\"registry.example.com\"]}", "registry.example.com.evil.example/a", false },
        { "{\"images\":[\"localhost/\"]}", "postgres:15", false },
        { "{\"images\":[\"docker.io/library/\"]}", "postgres:15", true },
        { "{\"images\":[\"docker.io/library/\"]}", "acme/postgres:15", false },
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(error_done) Error err = {};
        _cleanup_(policy_freep) ComposePolicy *policy = policy_of(cases[i].policy);
        _cleanup_(freep) char *text = str_format("{\"services\":{\"web\":{\"image\":\"%s\"}}}", cases[i].image);
        _cleanup_(compose_project_freep) ComposeProject *p = project_from_json(text);
        int r = compose_policy_check_project(p, policy, "box.yml", &err);

        if ((r == 0) != cases[i].allowed || (r < 0 && strcmp(error_id(&err), "policy.image-not-allowed") != 0))
            fail_msg("%s: %d %s", cases[i].image, r, error_message(&err, r));
    }
}

static void prefix_moves_the_defaults(void **state _unused_)
{
    static const struct {
        const char *path;
        int wanted;
    } paths[] = {
        { "/var/lib/tucomunidad/volumes/a", 0 },
        { "/etc/tucomunidad/secbox.env", 0 },
        { "/etc/tucomunidad/mgmt-agent.env", -EPERM },
    };

    paths_set_root("/box7");
    for (size_t i = 0; i < ELEMENTSOF(paths); i++) {
        _cleanup_(error_done) Error err = {};
        _cleanup_(freep) char *source = str_format("/box7%s", paths[i].path);
        _cleanup_(freep) char *config = str_format(
            "\"volumes\":[{\"type\":\"bind\",\"source\":\"%s\",\"target\":\"/x\",\"read_only\":true}]", source);

        assert_int_equal(check_config(config, NULL, &err), paths[i].wanted);
    }
    paths_set_root(NULL);
}

static void variables_wait(void **state _unused_)
{
    _cleanup_(error_done) Error err = {};
    int r =
        check_file("services:\n  web:\n    image: ${I:-a}\n    privileged: ${P:-false}\n    volumes: [\"${V}:/x\"]\n"
                   "    cap_add: [\"${C}\"]\n",
                   NULL, &err);

    if (r < 0)
        fail_msg("%s", error_message(&err, r));
}

static void refusal_names_the_entry(void **state _unused_)
{
    _cleanup_(error_done) Error err = {};

    assert_int_equal(check_config("\"cap_add\":[\"NET_ADMIN\"]", NULL, &err), -EPERM);
    assert_string_equal(err.key, "services.web.cap_add");
    assert_non_null(strstr(err.message, "add \"cap_add:NET_ADMIN\" to services.\"web\".allow in policy.json"));
}

static void bad_policies(void **state _unused_)
{
    static const struct {
        const char *text;
        const char *id;
    } cases[] = {
        { "", "policy.syntax" },
        { "[]", "policy.syntax" },
        { "{\"bind\":[\"/srv\"],\"bind\":[]}", "policy.syntax" },
        { "{\"binds\":[]}", "policy.unknown-key" },
        { "{\"bind\":\"/srv\"}", "policy.bad-type" },
        { "{\"bind\":[1]}", "policy.bad-type" },
        { "{\"bind\":[\"/\"]}", "policy.bad-path" },
        { "{\"bind\":[\"/*\"]}", "policy.bad-path" },
        { "{\"bind\":[\"srv\"]}", "policy.bad-path" },
        { "{\"bind\":[\"/srv/\"]}", "policy.bad-path" },
        { "{\"bind\":[\"/srv/../etc\"]}", "policy.bad-path" },
        { "{\"images\":[\"\"]}", "policy.bad-entry" },
        { "{\"services\":[]}", "policy.bad-type" },
        { "{\"services\":{\"web\":[]}}", "policy.bad-type" },
        { "{\"services\":{\"web\":{\"allows\":[]}}}", "policy.unknown-key" },
        { "{\"services\":{\"web\":{\"allow\":[\"privilegd\"]}}}", "policy.bad-entry" },
        { "{\"services\":{\"web\":{\"allow\":[\"image\"]}}}", "policy.bad-entry" },
        { "{\"services\":{\"web\":{\"allow\":[\"cap_add:\"]}}}", "policy.bad-entry" },
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(error_done) Error err = {};
        ComposePolicy *p = NULL;

        assert_true(policy_parse(cases[i].text, strlen(cases[i].text), "policy.json", &p, &err) < 0);
        assert_null(p);
        if (strcmp(error_id(&err), cases[i].id) != 0)
            fail_msg("%s: %s %s", cases[i].text, error_id(&err), error_message(&err, 0));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(f10_refused_by_default),
        cmocka_unit_test(allowed_by_entry),
        cmocka_unit_test(f10_file_refused_by_default),
        cmocka_unit_test(f10_top_level_refused),
        cmocka_unit_test(ordinary_files_pass),
        cmocka_unit_test(definitions_refused),
        cmocka_unit_test(nothing_is_had_by_another_name),
        cmocka_unit_test(what_is_there_is_judged_by_what_it_is),
        cmocka_unit_test(ordinary_keys_pass),
        cmocka_unit_test(binds_by_components),
        cmocka_unit_test(old_meaning_is_kept_and_explained),
        cmocka_unit_test(the_main_service_keeps_its_folder),
        cmocka_unit_test(the_clock_may_be_a_link),
        cmocka_unit_test(the_name_of_the_system_is_a_link),
        cmocka_unit_test(images_by_prefix),
        cmocka_unit_test(variables_wait),
        cmocka_unit_test(refusal_names_the_entry),
        cmocka_unit_test(bad_policies),
        cmocka_unit_test(prefix_moves_the_defaults),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

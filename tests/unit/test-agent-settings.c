/* SPDX-License-Identifier: MIT */
/* What podman says of a container against what was asked for: equal passes, every single difference is named. */
#include "tests/unit/agent-root.h"
#include "tests/unit/compose-project.h"

#include "compose/prove/settings.h"

static const char wanted_project[] =
    "{\"services\":{\"web\":{\"environment\":{\"URL\":\"https://a.example/?x=1\",\"EMPTY\":\"\"},\"config\":{"
    "\"command\":[\"serve\",\"--fast\"],\"user\":\"1000:1000\",\"restart\":\"on-failure:3\","
    "\"ports\":[{\"container\":\"80\",\"protocol\":\"tcp\",\"host\":\"8080\",\"address\":\"127.0.0.1\"},"
    "{\"container\":\"53\",\"protocol\":\"udp\",\"host\":\"53\"}],"
    "\"volumes\":[{\"type\":\"volume\",\"source\":\"data\",\"target\":\"/data\"},"
    "{\"type\":\"bind\",\"source\":\"/srv/x\",\"target\":\"/x\",\"read_only\":true},"
    "{\"type\":\"tmpfs\",\"target\":\"/tmp\"}],"
    "\"networks\":{\"front\":{},\"default\":{}}}}},"
    "\"networks\":{\"front\":{\"name\":\"box_front\"},\"default\":{\"name\":\"box_default\"}},"
    "\"volumes\":{\"data\":{\"name\":\"box_data\"}}}";

/* As podman 4.3 answers to inspect, cut to what counts. */
static const char inspected[] =
    "{\"Config\":{\"Env\":[\"PATH=/bin\",\"URL=https://a.example/?x=1\",\"EMPTY=\",\"container=podman\"],"
    "\"Cmd\":[\"serve\",\"--fast\"],\"User\":\"1000:1000\"},"
    "\"HostConfig\":{\"NetworkMode\":\"bridge\",\"Privileged\":false,\"RestartPolicy\":{\"Name\":\"on-failure\","
    "\"MaximumRetryCount\":3},"
    "\"PortBindings\":{\"80/tcp\":[{\"HostIp\":\"127.0.0.1\",\"HostPort\":\"8080\"}],"
    "\"53/udp\":[{\"HostIp\":\"\",\"HostPort\":\"53\"}]},\"Tmpfs\":{\"/tmp\":\"rw,rprivate\"}},"
    "\"Mounts\":[{\"Type\":\"volume\",\"Name\":\"box_data\",\"Source\":\"/var/lib/v/box_data/"
    "_data\",\"Destination\":\"/data\","
    "\"RW\":true},{\"Type\":\"bind\",\"Source\":\"/srv/x\",\"Destination\":\"/x\",\"RW\":false}],"
    "\"NetworkSettings\":{\"Networks\":{\"box_front\":{},\"box_default\":{}}}}";

/* Replaces `from` (once) by `to`. */
static char *edit(const char *text, const char *from, const char *to)
{
    const char *at = strstr(text, from);

    if (!at)
        fail_msg("the test itself is wrong: no %s", from);
    return str_format("%.*s%s%s", (int) (at - text), text, to, at + strlen(from));
}

static int compare(const char *project, const char *info, char **ret)
{
    _cleanup_(compose_project_freep) ComposeProject *p = project_from_json(project);
    _cleanup_(cJSON_Deletep) cJSON *o = json_of(info);

    return settings_compare(&p->services[0], p, &(ProofFacts) {}, o, ret);
}

static void test_equal(void **state)
{
    char *sentence = NULL;
    int r = compare(wanted_project, inspected, &sentence);

    (void) state;
    if (r != 0)
        fail_msg("%s", sentence);
    assert_null(sentence);
}

static void test_every_difference_is_named(void **state)
{
    static const struct {
        const char *from, *to, *says;
    } cases[] = {
        { "\"URL=https://a.example/?x=1\",", "", "URL is missing" },
        { "\"URL=https://a.example/?x=1\"", "\"URL=https://b.example/\"", "URL has another value" },
        { "\"URL=https://a.example/?x=1\"", "\"URLX=https://a.example/?x=1\"", "URL is missing" },
        { "\"EMPTY=\"", "\"EMPTY\"", "EMPTY is missing" },
        { "\"EMPTY=\"", "\"EMPTY= \"", "EMPTY has another value" },
        { "\"PATH=/bin\"", "\"OTHER=${CLOUD_BASE_URL:-x}\"", "OTHER holds a literal ${" },
        { "\"Cmd\":[\"serve\",\"--fast\"]", "\"Cmd\":[\"serve\"]", "command" },
        { "\"Cmd\":[\"serve\",\"--fast\"]", "\"Cmd\":[\"--fast\",\"serve\"]", "command" },
        { "\"Cmd\":[\"serve\",\"--fast\"],", "", "command" },
        { "\"User\":\"1000:1000\"", "\"User\":\"\"", "runs as user ''" },
        { ",\"User\":\"1000:1000\"", "", "runs as user ''" },
        { "\"Privileged\":false", "\"Privileged\":true", "it is privileged" },
        { "\"Name\":\"on-failure\"", "\"Name\":\"\"", "restart policy is 'no'" },
        { "\"Name\":\"on-failure\"", "\"Name\":\"on-failures\"", "restart policy" },
        { "\"HostPort\":\"8080\"", "\"HostPort\":\"8081\"", "port 80/tcp" },
        { "\"HostIp\":\"127.0.0.1\"", "\"HostIp\":\"0.0.0.0\"", "port 80/tcp" },
        { "\"HostIp\":\"127.0.0.1\"", "\"HostIp\":\"\"", "port 80/tcp" },
        { "\"53/udp\"", "\"53/tcp\"", "port 53/udp" },
        { "\"HostIp\":\"\"", "\"HostIp\":\"127.0.0.1\"", "port 53/udp" },
        { "\"Name\":\"box_data\"", "\"Name\":\"box_other\"", "box_data is not mounted at /data" },
        { "\"RW\":true", "\"RW\":false", "not mounted at /data" },
        { "\"RW\":false", "\"RW\":true", "/srv/x is not mounted at /x" },
        { "\"Destination\":\"/x\"", "\"Destination\":\"/y\"", "not mounted at /x" },
        { "\"Tmpfs\":{\"/tmp\":\"rw,rprivate\"}", "\"Tmpfs\":{}", "not mounted at /tmp" },
        { "\"box_front\":{},", "", "not attached to network box_front" },
        { "\"NetworkSettings\":{\"Networks\":{\"box_front\":{},\"box_default\":{}}}", "\"NetworkSettings\":null",
          "not attached to network" },
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(freep) char *info = edit(inspected, cases[i].from, cases[i].to);
        _cleanup_(freep) char *sentence = NULL;
        int r = compare(wanted_project, info, &sentence);

        if (r != 1)
            fail_msg("%s → %s: not noticed (%d)", cases[i].from, cases[i].to, r);
        if (!strstr(sentence, cases[i].says))
            fail_msg("%s → %s: \"%s\" does not say \"%s\"", cases[i].from, cases[i].to, sentence, cases[i].says);
        /* a value may be a secret */
        assert_null(strstr(sentence, "example"));
    }
}

static void test_what_may_differ(void **state)
{
    static const struct {
        const char *from, *to;
    } infos[] = {
        { "\"PATH=/bin\"", "\"PATH=/usr/bin\",\"HOSTNAME=x\"" },    /* the image's own */
        { "\"HostIp\":\"\"", "\"HostIp\":\"0.0.0.0\"" },           /* another way to say everywhere */
        { "\"box_front\":{},", "\"box_front\":{},\"more\":{}," },
    }, wishes[] = {
        { "\"command\":[\"serve\",\"--fast\"],", "" },             /* the image's own */
        { "\"user\":\"1000:1000\",", "" },
        { "\"restart\":\"on-failure:3\"", "\"restart\":\"on-failure\"" },
        { "\"host\":\"8080\"", "\"host\":\"\"" },                  /* any port */
        { "\"networks\":{\"front\":{},\"default\":{}}", "\"network_mode\":\"bridge\"" },
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(infos); i++) {
        _cleanup_(freep) char *info = edit(inspected, infos[i].from, infos[i].to);
        _cleanup_(freep) char *sentence = NULL;

        if (compare(wanted_project, info, &sentence) != 0)
            fail_msg("%s: %s", infos[i].to, sentence);
    }
    for (size_t i = 0; i < ELEMENTSOF(wishes); i++) {
        _cleanup_(freep) char *project = edit(wanted_project, wishes[i].from, wishes[i].to);
        _cleanup_(freep) char *sentence = NULL;

        if (compare(project, inspected, &sentence) != 0)
            fail_msg("%s: %s", wishes[i].from, sentence);
    }
    _cleanup_(freep) char *host =
        edit(wanted_project, "\"networks\":{\"front\":{},\"default\":{}}", "\"network_mode\":\"host\"");
    _cleanup_(freep) char *why = NULL;
    assert_int_equal(compare(host, inspected, &why), 1);
    assert_string_equal(why, "its `network_mode` is bridge, not host");
}

static void what_is_shared_is_that_of_the_container_which_is_there(void **state _unused_)
{
    static const struct {
        const char *key, *mode, *shown_as, *shown;
        int differs;
    } cases[] = {
        { "network_mode", "service:db", "NetworkMode", "container:cafe", 0 },
        { "network_mode", "service:db", "NetworkMode", "container:beef", 1 },
        { "network_mode", "service:db", "NetworkMode", "bridge", 1 },
        { "network_mode", "container:far", "NetworkMode", "container:feed", 0 },
        { "network_mode", "container:gone", "NetworkMode", "container:feed", 1 },
        { "pid", "service:db", "PidMode", "container:cafe", 0 },
        { "pid", "service:db", "PidMode", "private", 1 },
        { "pid", "host", "PidMode", "host", 0 },
        { "pid", "host", "PidMode", "private", 1 },
        { "pid", "private", "PidMode", "", 0 },
        { "ipc", "service:db", "IpcMode", "container:cafe", 0 },
        { "ipc", "service:db", "IpcMode", "container:beef", 1 },
        { "ipc", "shareable", "IpcMode", "private", 0 },
        { "ipc", "host", "IpcMode", "shareable", 0 },
        { "ipc", "host", "IpcMode", "private", 1 },
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(freep) char *project = str_format("{\"services\":{\"web\":{\"config\":{\"%s\":\"%s\"}},"
                                                    "\"db\":{\"config\":{}}}}",
                                                    cases[i].key, cases[i].mode);
        _cleanup_(freep) char *info = str_format("{\"HostConfig\":{\"%s\":\"%s\",\"RestartPolicy\":{}},"
                                                 "\"NetworkSettings\":{\"Networks\":{\"box_default\":{}}}}",
                                                 cases[i].shown_as, cases[i].shown);
        _cleanup_(compose_project_freep) ComposeProject *p = project_from_json(project);
        _cleanup_(cJSON_Deletep) cJSON *o = json_of(info);
        _cleanup_(map_freep) Map *ids = map_new(NULL);
        _cleanup_(freep) char *sentence = NULL;

        assert_int_equal(map_put(ids, "box_db_1", (char *) "cafe"), 0);
        assert_int_equal(map_put(ids, "far", (char *) "feed"), 0);
        if (settings_compare(&p->services[0], p, &(ProofFacts) { .ids = ids }, o, &sentence) != cases[i].differs)
            fail_msg("%s: %s, shown as %s: %s", cases[i].key, cases[i].mode, cases[i].shown, sentence);
    }
}

static void the_runtime_and_the_log_driver(void **state _unused_)
{
    static const struct {
        const char *config, *info;
        int differs;
    } cases[] = {
        { "\"runtime\":\"crun\"", "\"OCIRuntime\":\"crun\"", 0 },
        { "\"runtime\":\"nvidia\"", "\"OCIRuntime\":\"crun\"", 1 },
        { "\"logging\":{\"driver\":\"json-file\"}", "\"HostConfig\":{\"LogConfig\":{\"Type\":\"k8s-file\"}}", 0 },
        { "\"logging\":{\"driver\":\"journald\"}", "\"HostConfig\":{\"LogConfig\":{\"Type\":\"k8s-file\"}}", 1 },
        { "\"logging\":{\"options\":{\"max-size\":\"1m\"}}", "\"HostConfig\":{}", 0 },
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(freep) char *project = str_format("{\"services\":{\"web\":{\"config\":{%s}}}}", cases[i].config);
        _cleanup_(freep) char *info =
            str_format("{%s,\"NetworkSettings\":{\"Networks\":{\"box_default\":{}}}}", cases[i].info);
        _cleanup_(freep) char *sentence = NULL;

        if (compare(project, info, &sentence) != cases[i].differs)
            fail_msg("%s of %s: %s", cases[i].config, cases[i].info, sentence);
    }
}

/* Podman's answer is input like any other. */
static void test_nonsense_is_a_difference(void **state)
{
    static const char *const nonsense[] = {
        "{}",
        "[]",
        "null",
        "7",
        "{\"Config\":[]}",
        "{\"Config\":{\"Env\":{\"URL\":1}}}",
        "{\"Config\":{\"Env\":[1,null,[]]}}",
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(nonsense); i++) {
        _cleanup_(freep) char *sentence = NULL;

        assert_int_equal(compare(wanted_project, nonsense[i], &sentence), 1);
        assert_non_null(sentence);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equal),
        cmocka_unit_test(test_every_difference_is_named),
        cmocka_unit_test(test_what_may_differ),
        cmocka_unit_test(test_nonsense_is_a_difference),
        cmocka_unit_test(what_is_shared_is_that_of_the_container_which_is_there),
        cmocka_unit_test(the_runtime_and_the_log_driver),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

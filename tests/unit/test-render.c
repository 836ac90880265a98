/* SPDX-License-Identifier: MIT */
/* What podman-compose gets: one text per key, nothing lost without a word, no value of the environment in it.
 */
#include "tests/unit/compose-project.h"

#include <errno.h>

#include "compose/render/render.h"
#include "compose/render/run-args.h"

static const char *image_of(const char *service, void *userdata _unused_)
{
    return str_equal(service, "unpulled") ? NULL : "localhost/web@sha256:00";
}

static const char *env_file_of(const char *service _unused_, void *userdata _unused_)
{
    return "/stage/$web.env";
}

static int render(const char *json, const char *const *services, char **ret, Error *err)
{
    _cleanup_(compose_project_freep) ComposeProject *p = project_from_json(json);
    const RenderOptions options = { .services = services, .version = "42", .image = image_of, .env_file = env_file_of };

    strncpy(p->services[0].config_hash, "cafe", sizeof(p->services[0].config_hash) - 1);
    return compose_render(p, &options, ret, err);
}

static int render_config(const char *config, char **ret, Error *err)
{
    _cleanup_(freep) char *json = str_format("{\"services\":{\"web\":{\"config\":{%s}}}}", config);

    return render(json, NULL, ret, err);
}

static void whole_file(void **state _unused_)
{
    static const char *const wanted = "name: box\n"
                                      "x-podman:\n"
                                      "  in_pod: false\n"
                                      "services:\n"
                                      "  web:\n"
                                      "    container_name: box_web_1\n"
                                      "    image: \"localhost/web@sha256:00\"\n"
                                      "    env_file:\n"
                                      "      - \"/stage/$$web.env\"\n"
                                      "    hostname: caseta5\n"
                                      "    networks:\n"
                                      "      - default\n"
                                      "    restart: \"no\"\n"
                                      "    labels:\n"
                                      "      - \"a=$$b\"\n"
                                      "      - \"io.tucomunidad.service=web\"\n"
                                      "      - \"io.tucomunidad.config-hash=cafe\"\n"
                                      "      - \"io.tucomunidad.snapshot=42\"\n"
                                      "networks:\n"
                                      "  default:\n"
                                      "    name: box_default\n";
    _cleanup_(error_done) Error err = {};
    _cleanup_(freep) char *text = NULL;
    int r = render("{\"services\":{\"web\":{\"environment\":{\"TOKEN\":\"hunter2\"},\"depends_on\":[\"db\"],"
                   "\"config\":{\"hostname\":\"caseta5\",\"labels\":{\"a\":\"$b\"}}}}}",
                   NULL, &text, &err);

    assert_int_equal(r, 0);
    assert_string_equal(text, wanted);
}

static void only_what_is_used(void **state _unused_)
{
    static const char *const only[] = { "b", NULL }, *const wrong[] = { "nobody", NULL };
    static const char *const json =
        "{\"services\":{\"a\":{\"config\":{\"networks\":{\"x\":{}},\"volumes\":[{\"type\":\"volume\","
        "\"source\":\"va\","
        "\"target\":\"/"
        "v\",\"read_only\":false}]}},\"b\":{\"config\":{\"networks\":{\"y\":{}},\"volumes\":[{\"type\":"
        "\"volume\",\"source\":\"vb\",\"target\":\"/"
        "v\",\"read_only\":false}]}}},\"networks\":{\"x\":{\"name\":\"box_x\"},"
        "\"y\":{\"name\":\"box_y\"}},\"volumes\":{\"va\":{\"name\":\"box_va\"},\"vb\":{\"name\":\"box_vb\"}}"
        "}";
    _cleanup_(error_done) Error err = {}, no_service = {};
    _cleanup_(freep) char *text = NULL, *again = NULL, *none = NULL;

    assert_int_equal(render(json, only, &text, &err), 0);
    assert_null(strstr(text, "box_x"));
    assert_null(strstr(text, "box_va"));
    assert_null(strstr(text, "box_default"));
    assert_non_null(strstr(text, "name: box_y\n"));
    assert_non_null(strstr(text, "name: box_vb\n"));
    assert_int_equal(render(json, only, &again, &err), 0);
    assert_string_equal(text, again);
    assert_int_equal(render(json, wrong, &none, &no_service), -ENOENT);
    assert_string_equal(error_id(&no_service), "render.no-service");
    assert_null(none);
}

typedef struct KeyCase {
    const char *config;
    const char *wanted; /* somewhere in the text; NULL: refused */
    const char *key;    /* of the refusal */
} KeyCase;

static const KeyCase keys[] = {
    { "\"command\":[\"a\",\"$b\",\"yes\",\"8\"]",
      "command:\n      - a\n      - \"$$b\"\n      - \"yes\"\n      - \"8\"\n", NULL },
    { "\"ports\":[{\"address\":\"\",\"host\":\"22\",\"container\":\"22\",\"protocol\":\"tcp\"}]", "- \"22:22/tcp\"\n",
      NULL },
    { "\"ports\":[{\"address\":\"127.0.0.1\",\"host\":\"\",\"container\":\"22\",\"protocol\":\"udp\"}]",
      "- \"127.0.0.1::22/udp\"\n", NULL },
    { "\"ports\":[{\"address\":\"\",\"host\":\"\",\"container\":\"22\",\"protocol\":\"tcp\"}]", "- \"22/tcp\"\n",
      NULL },
    { "\"ports\":[{\"address\":\"::1\",\"host\":\"80\",\"container\":\"80\",\"protocol\":\"tcp\"}]",
      "- \"[::1]:80:80/tcp\"\n", NULL },
    { "\"healthcheck\":{\"test\":[\"CMD\",\"a b\",\"it's\"],\"interval\":\"30s\",\"retries\":\"0\"}",
      "- \"'a b' 'it'\\\"'\\\"'s'\"\n      interval: \"30s\"\n", NULL },
    { "\"healthcheck\":{\"test\":[\"CMD-SHELL\",\"test $X\"],\"timeout\":\"1s\"}", "- \"test $$X\"\n", NULL },
    { "\"healthcheck\":{\"test\":[\"NONE\"]}", "test:\n        - NONE\n", NULL },
    { "\"logging\":{\"options\":{\"max-size\":\"10m\"}}",
      "driver: k8s-file\n      options:\n        max-size: \"10m\"\n", NULL },
    { "\"sysctls\":{\"net.core.somaxconn\":\"9\"}", "- \"net.core.somaxconn=9\"\n", NULL },
    { "\"ulimits\":{\"nofile\":{\"soft\":\"1\",\"hard\":\"-1\"},\"nproc\":{\"hard\":\"5\"}}",
      "- \"nofile=1:-1\"\n      - \"nproc=5:5\"\n", NULL },
    { "\"security_opt\":[\"no-new-privileges:true\"]", "- no-new-privileges\n", NULL },
    { "\"volumes\":[{\"type\":\"bind\",\"source\":\"/a $b\",\"target\":\"/x\",\"read_only\":true,"
      "\"options\":[\"rslave\"]}]",
      "- type: bind\n        source: \"/a $$b\"\n        target: /x\n        read_only: true\n        bind:\n"
      "          propagation: rslave\n",
      NULL },
    { "\"tmpfs\":[\"/run\"],\"volumes\":[{\"type\":\"tmpfs\",\"source\":\"\",\"target\":\"/t\","
      "\"options\":[\"size=1\",\"mode=700\"]}]",
      "tmpfs:\n      - \"/run:noexec\"\n      - \"/t:size=1,mode=700,noexec\"\n", NULL },
    { "\"tmpfs\":[\"/a:exec\",\"/b:noexec,size=1\"]", "- \"/a:exec\"\n      - \"/b:noexec,size=1\"\n", NULL },
    { "\"networks\":{\"default\":{\"aliases\":[\"web\"]}}", "networks:\n      - default\n", NULL },
    { "\"privileged\":true,\"init\":false,\"tty\":true", "privileged: true\n    tty: true\n", NULL },
    { "\"restart\":\"on-failure:3\"", "restart: \"on-failure:3\"\n", NULL },
    { "\"hostname\":\"\"", "networks:", NULL },

    { "\"command\":[]", NULL, "services.web.command" },
    { "\"devices\":[\"/dev/a:0:/dev/a:r\"]", NULL, "services.web.devices" },
    { "\"devices\":[\"v.example/c=n\",\"/dev/a:/dev/a:r\"]", "- \"v.example/c=n\"\n      - \"/dev/a:/dev/a:r\"\n",
      NULL },
    { "\"pid\":\"service:db\"", NULL, "services.web.pid" },
    { "\"runtime\":\"x\"", NULL, "services.web.runtime" },
    { "\"storage_opt\":\"x\"", NULL, "services.web.storage_opt" },
    { "\"networks\":{\"default\":{\"mac_address\":\"02:42:ac:11:65:43\"}}", NULL, "services.web.mac_address" },
    { "\"domainname\":\"x\"", NULL, "services.web.domainname" },
    { "\"of_the_future\":\"x\"", NULL, "services.web.of_the_future" },
    { "\"networks\":{\"default\":{\"aliases\":[\"other\"]},\"n\":{}}", NULL, "services.web.networks" },
    { "\"networks\":{\"default\":{\"ipv4_address\":\"10.0.0.1\"}}", NULL, "services.web.ipv4_address" },
    { "\"healthcheck\":{\"test\":[\"CMD\"]}", NULL, "services.web.healthcheck.test" },
    { "\"healthcheck\":{\"test\":[\"CMD-SHELL\",\"a\",\"b\"]}", NULL, "services.web.healthcheck.test" },
    { "\"healthcheck\":{\"test\":[\"CMD\",\"a\"],\"timeout\":\"500ms\"}", NULL, "services.web.healthcheck.timeout" },
    { "\"volumes\":[{\"type\":\"bind\",\"source\":\"/a:b\",\"target\":\"/x\"}]", NULL, "services.web.volumes" },
    { "\"volumes\":[{\"type\":\"npipe\",\"source\":\"a\",\"target\":\"/x\"}]", NULL, "services.web.volumes" },
    { "\"volumes\":[{\"type\":\"tmpfs\",\"source\":\"\",\"target\":\"/t\",\"read_only\":true}]",
      "tmpfs:\n      - \"/t:ro,noexec\"\n", NULL },
    { "\"labels\":{\"a=b\":\"c\"}", NULL, "services.web.labels" },
    { "\"logging\":{\"options\":{\"a$b\":\"c\"}}", NULL, "services.web.logging" },
};

static void every_key(void **state _unused_)
{
    for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
        const KeyCase *t = &keys[i];
        _cleanup_(error_done) Error err = {};
        _cleanup_(freep) char *text = NULL;
        int r = render_config(t->config, &text, &err);

        if (t->wanted && (r < 0 || !strstr(text, t->wanted)))
            fail_msg("%s: %s\n%s", t->config, error_message(&err, r), text ? text : "");
        if (t->wanted)
            continue;
        if (r != -ENOTSUP || strcmp(error_id(&err), "render.unsupported") != 0 || !err.key ||
            strcmp(err.key, t->key) != 0)
            fail_msg("%s: %d %s %s", t->config, r, error_id(&err), err.key ? err.key : "");
        assert_int_equal(err.line, 7);
        assert_null(text);
    }
}

static void definitions(void **state _unused_)
{
    static const struct {
        const char *network;
        const char *wanted;
    } cases[] = {
        { "\"name\":\"n\",\"external\":true", "name: \"n\"\n    external: true\n" },
        { "\"name\":\"lan\",\"external\":false,\"internal\":true,\"labels\":{\"a\":\"$\"}",
          "name: lan\n    internal: true\n    labels:\n      - \"a=$$\"\n" },
        { "\"name\":\"lan\",\"driver\":\"macvlan\"", NULL },
        { "\"name\":\"lan\",\"driver_opts\":{\"mtu\":\"9\"}", NULL },
        { "\"name\":\"lan\",\"ipam\":{\"config\":[]}", NULL },
        { "\"name\":\"lan\",\"enable_ipv6\":true", NULL },
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(error_done) Error err = {};
        _cleanup_(freep) char *text = NULL;
        _cleanup_(freep) char *json =
            str_format("{\"services\":{\"web\":{\"config\":{\"networks\":{\"n\":{}}}}},\"networks\":{\"n\":{%s}}}",
                       cases[i].network);
        int r = render(json, NULL, &text, &err);

        if (cases[i].wanted ? r < 0 || !strstr(text, cases[i].wanted) : r != -ENOTSUP)
            fail_msg("%s: %s\n%s", cases[i].network, error_message(&err, r), text ? text : "");
    }
}

static void image_is_needed(void **state _unused_)
{
    _cleanup_(error_done) Error err = {};
    char *text = NULL;

    assert_int_equal(render("{\"services\":{\"unpulled\":{}}}", NULL, &text, &err), -ENOENT);
    assert_string_equal(error_id(&err), "render.no-image");
    assert_null(text);
}

typedef struct EnvCase {
    const char *environment;
    const char *wanted;
    const char *id;
} EnvCase;

static const EnvCase envs[] = {
    { "", "", NULL },
    { "\"A\":\"\",\"B\":\"#x\",\"C\":\"a=b\",\"D\":\" x  \",\"a.b-c\":\"\\\"q\\\"\"",
      "A=\nB=#x\nC=a=b\nD= x  \na.b-c=\"q\"\n", NULL },
    { "\"STAR*\":\"x\"", "STAR*=x\n", NULL },
    { "\"A\":\"x\\ny\"", NULL, "render.multi-line-value" },
    { "\"A\":\"x\\r\"", NULL, "render.multi-line-value" },
    { "\"A\":1", NULL, "render.bad-environment-value" },
    { "\"A\":null", NULL, "render.bad-environment-value" },
    { "\"\":\"x\"", NULL, "render.bad-environment-key" },
    { "\"#A\":\"x\"", NULL, "render.bad-environment-key" },
    { "\" A\":\"x\"", NULL, "render.bad-environment-key" },
    { "\"A=B\":\"x\"", NULL, "render.bad-environment-key" },
    { "\"A\\nB\":\"x\"", NULL, "render.bad-environment-key" },
};

static void environment(void **state _unused_)
{
    for (size_t i = 0; i < ELEMENTSOF(envs); i++) {
        const EnvCase *t = &envs[i];
        _cleanup_(error_done) Error err = {};
        _cleanup_(secret_freep) char *text = NULL;
        _cleanup_(freep) char *json = str_format("{\"services\":{\"web\":{\"environment\":{%s}}}}", t->environment);
        _cleanup_(compose_project_freep) ComposeProject *p = project_from_json(json);
        int r = compose_render_env(&p->services[0], &text, &err);

        if (t->wanted ? r < 0 || strcmp(text, t->wanted) != 0 : r >= 0 || strcmp(error_id(&err), t->id) != 0)
            fail_msg("%s: %s %s", t->environment, error_message(&err, r), text ? text : "");
    }
}

static void long_values(void **state _unused_)
{
    _cleanup_(error_done) Error err = {};
    _cleanup_(secret_freep) char *text = NULL;
    _cleanup_(freep) char *value = malloc(64 * 1024 + 1);
    _cleanup_(freep) char *json = NULL;
    _cleanup_(compose_project_freep) ComposeProject *p = NULL;

    assert_non_null(value);
    memset(value, 'v', 64 * 1024);
    value[64 * 1024] = '\0';
    json = str_format("{\"services\":{\"web\":{\"environment\":{\"A\":\"%s\"}}}}", value);
    p = project_from_json(json);
    assert_int_equal(compose_render_env(&p->services[0], &text, &err), -EMSGSIZE);
    assert_string_equal(error_id(&err), "render.value-too-long");
}

static void options_for_podman(void **state _unused_)
{
    static const struct {
        const char *config, *wanted;
    } cases[] = {
        { "\"stop_grace_period\":\"30s\"", "--stop-timeout=30" },
        { "\"healthcheck\":{\"test\":[\"CMD\",\"/bin/true\"]}", "'--health-cmd=CMD /bin/true'" },
        { "\"healthcheck\":{\"test\":[\"CMD\",\"a\",\"it's\",\"$b\"]}", "'--health-cmd=CMD a it'\"'\"'s $b'" },
        { "\"healthcheck\":{\"test\":[\"CMD\",\"a\",\"b c\"]}", "'--health-cmd=[\"a\",\"b c\"]'" },
        { "\"healthcheck\":{\"test\":[\"CMD\",\"a\",\"\"]}", "'--health-cmd=[\"a\",\"\"]'" },
        /* podman has no way to be told: by the file, as a line for a shell */
        { "\"healthcheck\":{\"test\":[\"CMD\",\"a b\"]}", "" },
        { "\"healthcheck\":{\"test\":[\"CMD\",\"none\",\"b c\"]}", "" },
        { "\"healthcheck\":{\"test\":[\"CMD-SHELL\",\"a\"]}", "" },
        { "\"healthcheck\":{\"interval\":\"3s\"}", "" },
        { "\"tty\":true", "" },
        { "\"dns\":[\"1.1.1.1\",\"::1\"],\"group_add\":[\"video\"]",
          "'--dns=1.1.1.1'|'--dns=::1'|'--group-add=video'" },
        { "\"pid\":\"host\",\"uts\":\"private\",\"ipc\":\"private\"", "'--ipc=private'|'--pid=host'" },
        { "\"cpu_period\":\"100000\",\"cpu_quota\":\"50000\"", "'--cpu-period=100000'|'--cpu-quota=50000'" },
        { "\"memswap_limit\":\"-1\",\"pids_limit\":\"9\"", "'--memory-swap=-1'|'--pids-limit=9'" },
        { "\"entrypoint\":[]", "--entrypoint=" },
        { "\"networks\":{\"default\":{\"aliases\":[\"other\"]}}", "'--network-alias=other'" },
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(freep) char *json = str_format("{\"services\":{\"web\":{\"config\":{%s}}}}", cases[i].config);
        _cleanup_(compose_project_freep) ComposeProject *p = project_from_json(json);
        _cleanup_(strv_freep) char **args = NULL;
        _cleanup_(freep) char *joined = NULL;
        RenderOptions options = { .version = "1", .image = image_of, .run_args = true };
        _cleanup_(freep) char *text = NULL;

        assert_int_equal(compose_render_run_args(&p->services[0], &args), 0);
        joined = args ? strv_join(args, "|") : strdup("");
        if (!str_equal(joined, cases[i].wanted))
            fail_msg("%s: %s", cases[i].config, joined);
        /* in one of the two places, never in both */
        assert_int_equal(compose_render(p, &options, &text, NULL), 0);
        if (strstr(cases[i].config, "\"test\""))
            assert_true(!strstr(text, "test:") == (strstr(joined, "health-cmd") != NULL));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_file),  cmocka_unit_test(only_what_is_used),  cmocka_unit_test(every_key),
        cmocka_unit_test(definitions), cmocka_unit_test(image_is_needed),    cmocka_unit_test(environment),
        cmocka_unit_test(long_values), cmocka_unit_test(options_for_podman),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

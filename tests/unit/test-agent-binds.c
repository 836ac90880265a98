/* SPDX-License-Identifier: MIT */
/* Which host paths may be mounted beside each other, and which ways lead to them. */
#include "tests/unit/agent-root.h"

#include <errno.h>
#include <fcntl.h>

#include "compose/policy/bind-rules.h"
#include "mgmt-agent/host/data-folder.h"
#include "mgmt-agent/state/unsafe-binds.h"
#include "mgmt-agent/worker/phases/bind-uses.h"
#include "mgmt-agent/worker/phases/bind-walk.h"
#include "mgmt-agent/worker/phases/data-owner.h"
#include "mgmt-agent/worker/podman/podman-ids.h"
#include "tests/unit/compose-project.h"

static void overlaps(void **state _unused_)
{
    static const struct {
        const char *a, *b;
        bool a_writable, b_writable, conflict;
    } cases[] = {
        { "/srv/a", "/srv/a/b", true, true, true },  { "/srv/a", "/srv/a/b", true, false, true },
        { "/srv/a", "/srv/a/b", false, true, true }, { "/srv/a", "/srv/a/b", false, false, false },
        { "/srv/a", "/srv/a", true, true, false },   { "/srv/a", "/srv/ab", true, true, false },
        { "/srv/a", "/srv/b", true, true, false },   { "/srv/a/b/c", "/srv/a", true, true, true },
        { "/srv", "/srv/a/b/c", true, false, true },
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        const BindUse a = { (char *) "a", (char *) cases[i].a, cases[i].a_writable };
        const BindUse b = { (char *) "b", (char *) cases[i].b, cases[i].b_writable };

        if (bind_uses_conflict(&a, &b) != cases[i].conflict || bind_uses_conflict(&b, &a) != cases[i].conflict)
            fail_msg("%s and %s", cases[i].a, cases[i].b);
    }
}

static void conflict_is_found_among_others(void **state _unused_)
{
    const BindUse uses[] = { { (char *) "a", (char *) "/srv/a", true },
                             { (char *) "b", (char *) "/srv/b", true },
                             { (char *) "c", (char *) "/srv/a/x", false } };

    assert_ptr_equal(bind_find_conflict(&uses[0], uses, 3), &uses[2]);
    assert_ptr_equal(bind_find_conflict(&uses[2], uses, 3), &uses[0]);
    assert_null(bind_find_conflict(&uses[1], uses, 3));
}

/* A link counts as what it leads to, and a named volume as the host folder that it may be after all. */
static void uses_of_a_project(void **state _unused_)
{
    _cleanup_(compose_project_freep) ComposeProject *p = project_from_json(
        "{\"services\":{\"web\":{\"config\":{\"volumes\":["
        "{\"type\":\"bind\",\"source\":\"/srv/link\",\"target\":\"/a\",\"read_only\":true},"
        "{\"type\":\"bind\",\"source\":\"/srv/b\",\"target\":\"/b\"},"
        "{\"type\":\"volume\",\"source\":\"plain\",\"target\":\"/c\"},"
        "{\"type\":\"volume\",\"source\":\"folder\",\"target\":\"/d\"},"
        "{\"type\":\"tmpfs\",\"target\":\"/e\"}]}}},"
        "\"volumes\":{\"plain\":{\"name\":\"box_plain\"},\"folder\":{\"driver_opts\":{\"device\":\"/srv/d\"}}}}");
    static const BindUse wanted[] = { { (char *) "web", (char *) "/real", false },
                                      { (char *) "web", (char *) "/srv/b", true },
                                      { (char *) "web", (char *) "/srv/d", true } };
    Map *targets = map_new(free);
    BindUses uses = {};

    assert_int_equal(map_put(targets, "/srv/link", strdup("/real")), 0);
    assert_int_equal(bind_uses_of_project(p, targets, &uses), 0);
    assert_int_equal(uses.n, ELEMENTSOF(wanted));
    for (size_t i = 0; i < uses.n; i++) {
        assert_string_equal(uses.items[i].service, wanted[i].service);
        assert_string_equal(uses.items[i].source, wanted[i].source);
        assert_int_equal(uses.items[i].writable, wanted[i].writable);
    }
    bind_uses_done(&uses);
    map_free(targets);
}

static void components(void **state _unused_)
{
    static const struct {
        mode_t mode;
        uid_t owner, trusted;
        BindFault fault;
    } cases[] = {
        { S_IFDIR | 0755, 0, 0, BIND_SOUND },      { S_IFDIR | 0711, 0, 0, BIND_SOUND },
        { S_IFDIR | 0700, 0, 1000, BIND_SOUND },   { S_IFDIR | 0755, 1000, 1000, BIND_SOUND },
        { S_IFDIR | 0755, 1000, 0, BIND_OWNER },   { S_IFDIR | 0775, 0, 0, BIND_WRITABLE },
        { S_IFDIR | 01777, 0, 0, BIND_WRITABLE },  { S_IFDIR | 0757, 0, 0, BIND_WRITABLE },
        { S_IFLNK | 0777, 0, 0, BIND_LINK },       { S_IFREG | 0644, 0, 0, BIND_NO_FOLDER },
        { S_IFSOCK | 0600, 0, 0, BIND_NO_FOLDER },
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++)
        if (bind_judge_component(cases[i].mode, cases[i].owner, cases[i].trusted) != cases[i].fault)
            fail_msg("case %zu: mode %o of %u", i, (unsigned) cases[i].mode, (unsigned) cases[i].owner);
}

/* Paths that every Debian has. */
static void ways(void **state _unused_)
{
    static const struct {
        const char *path, *id, *word; /* NULL: sound */
        bool exists;
    } cases[] = {
        { "/etc/passwd", NULL, NULL, true },
        { "/etc/os-release", NULL, NULL, true }, /* a link at the end is the caller's to judge */
        { "/dev/null", NULL, NULL, true },
        { "/usr/not-there", NULL, NULL, false },
        { "/usr/not-there/a", "preflight.bind-missing", "/usr/not-there", false },
        { "/tmp/a", "preflight.bind-way", "chown root: /tmp; chmod go-w /tmp", false },
        { "/tmp/a/b", "preflight.bind-way", "/tmp (owner 0:0, mode 1777)", false },
        { "/var/run/a", "preflight.bind-way", "/var/run is a link", false },
        { "/etc/passwd/a", "preflight.bind-way", "/etc/passwd is no folder", false },
        { "/", "preflight.bind-missing", "absolute", false },
        { "etc/passwd", "preflight.bind-missing", "absolute", false },
    };
    const PodmanUser nobody = { .uid = 65534 };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(error_done) Error err = {};
        BindWalk w;
        int r = bind_walk(cases[i].path, &nobody, &w, &err);

        if ((r == 0) != !cases[i].id || (r < 0 && !str_equal(error_id(&err), cases[i].id)) ||
            (r < 0 && !strstr(error_message(&err, r), cases[i].word)) || (r == 0 && w.exists != cases[i].exists))
            fail_msg("%s: %d %s %s", cases[i].path, r, error_id(&err), error_message(&err, r));
        bind_walk_done(&w);
        assert_int_equal(w.parent, -1);
    }
}

static void what_was_found_is_remembered(void **state _unused_)
{
    static const char *const damaged[] = { NULL, "", "[]", "{\"binds\":{}}", "{\"bind\":[]}" };
    _cleanup_(cJSON_Deletep) cJSON *list = json_of("[{\"service\":\"web\",\"source\":\"/srv\",\"problem\":\"p\"}]");
    _cleanup_(cJSON_Deletep) cJSON *again = NULL;

    assert_int_equal(unsafe_binds_save(list, NULL), 0);
    again = unsafe_binds_load();
    assert_true(cJSON_Compare(list, again, true));
    for (size_t i = 0; i < ELEMENTSOF(damaged); i++) {
        _cleanup_(cJSON_Deletep) cJSON *none = NULL;

        agent_root_write(AGENT_STATE_DIR "/unsafe-binds.json", damaged[i]);
        none = unsafe_binds_load();
        assert_true(cJSON_IsArray(none) && cJSON_GetArraySize(none) == 0);
    }
}

/* Paths that every Debian has, and some that none has. */
static void nested_folders(void **state _unused_)
{
    static const struct {
        const char *nested, *direct;
        bool listed, is_nested;
    } cases[] = {
        { "/usr/not/there", "/usr/not+there", false, false },
        { "/usr/not/there", "/usr/not+there", true, true },
        { "/etc/passwd", "/etc+passwd", false, true },
        { "/etc/passwd", "/etc", false, false },
        { "/etc/passwd", "/etc", true, false },
        { "/etc/passwd/x", "/etc+passwd+x", false, false },
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++)
        if (data_folder_is_nested(cases[i].nested, cases[i].direct, cases[i].listed) != cases[i].is_nested)
            fail_msg("%s and %s, %d", cases[i].nested, cases[i].direct, cases[i].listed);
}

static void owners(void **state _unused_)
{
    static const struct {
        const char *text;
        uint32_t uid, gid;
        bool bad;
    } cases[] = {
        { "1000", 1000, 0, false },   { "1000:100", 1000, 100, false }, { "0:0", 0, 0, false },
        { "postgres", 0, 0, true },   { "1000:users", 0, 0, true },     { "", 0, 0, true },
        { ":5", 0, 0, true },         { "1000:", 0, 0, true },          { "-1", 0, 0, true },
        { "4294967295", 0, 0, true }, { "1:4294967295", 0, 0, true },   { "4294967294", 4294967294, 0, false },
        { "1000:100:1", 0, 0, true },
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        uint32_t uid = 0, gid = 0;
        int r = data_owner_parse(cases[i].text, &uid, &gid);

        if ((r < 0) != cases[i].bad || uid != cases[i].uid || gid != cases[i].gid)
            fail_msg("%s: %d, %u:%u", cases[i].text, r, uid, gid);
    }
}

static void ids_of_the_host(void **state _unused_)
{
    _cleanup_(cJSON_Deletep) cJSON *maps =
        json_of("{\"uidmap\":[{\"container_id\":0,\"host_id\":1000,\"size\":1},"
                "{\"container_id\":1,\"host_id\":100000,\"size\":65536},"
                "{\"container_id\":65537,\"host_id\":4294967290,\"size\":100}],\"gidmap\":null}");
    static const struct {
        const char *map;
        uint32_t id, host;
        bool none;
    } cases[] = {
        { "uidmap", 0, 1000, false },           { "uidmap", 1, 100000, false }, { "uidmap", 999, 100998, false },
        { "uidmap", 65536, 165535, false },     { "uidmap", 65600, 0, true },   { "uidmap", 70000, 0, true },
        { "uidmap", 65537, 4294967290, false }, { "gidmap", 999, 999, false },
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        uint32_t host = 0;
        int r = podman_answer_host_id(maps, cases[i].map, cases[i].id, &host);

        if ((r == -ERANGE) != cases[i].none || host != cases[i].host)
            fail_msg("%s %u: %d, %u", cases[i].map, cases[i].id, r, host);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(overlaps),
        cmocka_unit_test(conflict_is_found_among_others),
        cmocka_unit_test(uses_of_a_project),
        cmocka_unit_test(components),
        cmocka_unit_test(ways),
        cmocka_unit_test(nested_folders),
        cmocka_unit_test(owners),
        cmocka_unit_test(ids_of_the_host),
        cmocka_unit_test_setup_teardown(what_was_found_is_remembered, agent_root_make, agent_root_remove),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

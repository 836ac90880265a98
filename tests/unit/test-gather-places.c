/* SPDX-License-Identifier: MIT */
/* What gathering says besides the text: the files that it names, where its lines are from, and all that is wrong. */
#include "compose/gather/travel.h"
#include "compose/precheck.h"
#include "lib/data/json.h"
#include "tests/unit/gather-files.h"

#include <unistd.h>

static void expect_files(const File *files, char *const *names, const char *expected)
{
    _cleanup_(gathered_done) Gathered out = {};
    _cleanup_(error_done) Error err = {};
    static const char *const kinds[] = { "env_file", "config", "secret", "file", "folder" };
    _cleanup_(freep) char *found = strdup("");

    if (gather(files, names, NULL, &out, &err) < 0)
        fail_msg("%s", error_message(&err, -1));
    for (size_t i = 0; i < out.n_files; i++) {
        const GatheredFile *f = &out.files[i];
        char *longer = str_format("%s%s %s=%s %o\n", found, kinds[f->kind], f->path, f->source, f->mode);

        free(found);
        found = longer;
    }
    assert_string_equal(found, expected);
}

static void test_files_beside_it(void **state)
{
    static const File files[] = {
        { "p/a.yml",
          "include: [db/b.yml]\n"
          "services:\n"
          "  a:\n"
          "    env_file: [a.env, {path: ./maybe.env, required: false}, '${X}.env', /etc/x.env, ../up.env]\n"
          "    configs: [c, {source: external}]\n"
          "    secrets: [{source: s, target: t}]\n"
          "    volumes: ['./nginx.conf:/n', './html:/h:ro,z', './data:/d', 'vol:/v', '/abs:/abs', './sock:/s',\n"
          "      './both:/b:ro', {type: bind, source: long, target: /l, read_only: true}, './html/x:/x',\n"
          "      './outer:/o:ro', './${V}:/var']\n"
          "  b: {volumes: ['./both:/b', './outer/in:/i', './$$x:/x'], env_file: a.env}\n"
          "  off: {profiles: [p], env_file: off.env}\n"
          "configs: {c: {file: ./c.conf}, unused: {file: u.conf}, external: {external: true}}\n"
          "secrets: {s: {file: ./sub/../s.txt}}\n" },
        { "p/db/b.yml", "services: {d: {volumes: ['./init.sql:/i:ro', '../s.txt:/s']}}\n" },
        { "p/a.env", "" },
        { "p/maybe.env", "" },
        { "p/off.env", "" },
        { "up.env", "" },
        { "p/c.conf", "" },
        { "p/u.conf", "" },
        { "p/s.txt", "" },
        { "p/nginx.conf", "" },
        { "p/html", NULL },
        { "p/html/x", "" },
        { "p/data", NULL },
        { "p/both", NULL },
        { "p/outer", NULL },
        { "p/outer/in", NULL },
        { "p/long", NULL },
        { "p/db/init.sql", "" },
        {},
    };

    (void) state;
    expect_files(files, NAMES("p/a.yml"),
                 "env_file a.env=p/a.env 640\n"
                 "env_file maybe.env=p/maybe.env 640\n"
                 "config c.conf=p/c.conf 640\n"
                 "secret s.txt=p/s.txt 640\n"
                 "file nginx.conf=p/nginx.conf 640\n"
                 "folder html=p/html 755\n"
                 "folder long=p/long 755\n"
                 "file db/init.sql=p/db/init.sql 640\n");
}

/* A folder of which nothing is written holds its files, but for a secret, which is named for itself. */
static void test_files_in_a_folder(void **state)
{
    static const File files[] = {
        { "a.yml", "services: {a: {volumes: ['./conf:/c:ro', './conf/a.conf:/a.conf:ro'], secrets: [s]}}\n"
                   "secrets: {s: {file: conf/key}}\n" },
        { "conf", NULL },
        { "conf/a.conf", "" },
        { "conf/key", "" },
        {},
    };

    (void) state;
    expect_files(files, NAMES("a.yml"), "secret conf/key=conf/key 640\nfolder conf=conf 755\n");
}

/* What a box would be given sealed besides, where nobody there can read it, is said before it goes. */
static void test_other_uses_of_a_secret(void **state)
{
    static const struct {
        const char *services, *says; /* NULL: it is sealed */
    } cases[] = {
        { "{a: {secrets: [s]}, b: {secrets: [s, {source: t, target: u}]}}", NULL },
        { "{a: {secrets: [s], configs: [c]}}", NULL },
        { "{a: {secrets: [s]}, b: {profiles: [p], env_file: sub/s.env}}", NULL },
        { "{a: {secrets: [s], env_file: sub/s.env}}", "would arrive sealed" },
        { "{a: {secrets: [s]}, b: {env_file: ./sub/../sub/s.env}}", "would arrive sealed" },
        { "{a: {configs: [same], secrets: [s]}}", "would arrive sealed" },
        { "{a: {secrets: [s], volumes: ['./sub/s.env:/s']}}", "would arrive sealed" },
        { "{a: {volumes: ['./sub/s.env:/s:ro']}, b: {secrets: [s]}}", "would arrive sealed" },
        { "{a: {secrets: [s], volumes: ['./sub:/s:ro']}}", "lies in sub" },
    };
    static const uint8_t key[SEAL_KEY_SIZE] = { 1 };
    char source[] = "/tmp/secret.XXXXXX";
    int fd = mkstemp(source);

    (void) state;
    assert_true(fd >= 0 && close(fd) == 0);
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(freep) char *text = str_format("services: %s\nconfigs: {c: {file: c.yml}, same: {file: sub/s.env}}\n"
                                                 "secrets: {s: {file: sub/s.env}, t: {file: sub/s.env}}\n",
                                                 cases[i].services);
        const File files[] = { { "a.yml", text }, { "sub", NULL }, { "sub/s.env", "" }, { "c.yml", "" }, {} };
        _cleanup_(bundle_pack_freep) BundlePack *pack = bundle_pack_new();
        _cleanup_(gathered_done) Gathered out = {};
        _cleanup_(error_done) Error err = {};
        size_t len = 0;

        assert_int_equal(gather(files, NAMES("a.yml"), NULL, &out, NULL), 0);
        assert_int_equal(bundle_pack_add(pack, "sub/s.env", source, NULL), 0);
        int r = project_pack_seal(&out, pack, key, &err);
        const char *content = bundle_pack_content(pack, 0, &len);
        if (cases[i].says
                ? r != -EPERM || !str_equal(error_id(&err), "gather.secret") || !strstr(err.message, cases[i].says)
                : r < 0 || !seal_is_sealed(content, len))
            fail_msg("%s: %s", cases[i].services, r < 0 ? error_message(&err, r) : "taken");
    }
    assert_int_equal(unlink(source), 0);
}

/* What is found in it is what the box will find in what comes, so that its checks can be made before. */
static void test_files_for_the_checks(void **state)
{
    static const struct {
        const char *volumes, *refused; /* of the services a and b; the error's id */
    } cases[] = {
        { "a: {image: x, volumes: ['./conf:/c:ro', './conf/app.yml:/a']}", NULL },
        { "a: {image: x, volumes: ['./conf:/c', './conf/app.yml:/c/app.yml']}", NULL },
        { "a: {image: x, volumes: ['./data/in:/i', './data:/d']}", "compose.bad-value" },
        /* b would get a folder with app.yml and nothing else, or none with app.yml in it */
        { "a: {image: x, volumes: ['./conf:/c', './conf/app.yml:/a']}\n  b: {image: x, volumes: ['./conf:/c:ro']}",
          "compose.bad-value" },
        { "a: {image: x, configs: [c]}\nconfigs: {c: {file: ./conf/app.yml}}", NULL },
        { "a: {image: x, configs: [c]}\nconfigs: {c: {file: ./none}}", "compose.file-missing" },
        { "a: {image: x, secrets: [s]}\nsecrets: {s: {file: ./conf/app.yml}}", NULL },
        { "a: {image: x, secrets: [s]}\nsecrets: {s: {file: ./none}}", "compose.file-missing" },
        { "a: {image: x, configs: [c], secrets: [s]}\nconfigs: {c: {content: '${A}'}}\nsecrets: {s: {environment: "
          "'${B}'}}",
          NULL },
        { "a: {image: x, configs: [c]}\nconfigs: {c: {file: '${A}/c'}}", NULL },
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(freep) char *text = str_format("services:\n  %s\n", cases[i].volumes);
        _cleanup_(gathered_done) Gathered out = {};
        _cleanup_(error_done) Error err = {};
        const File files[] = { { "a.yml", text }, { "conf", NULL },    { "conf/app.yml", "" },
                               { "data", NULL },  { "data/in", NULL }, {} };

        assert_int_equal(gather(files, NAMES("a.yml"), NULL, &out, NULL), 0);
        const ComposeFiles come = project_files(&out);
        int r = compose_precheck(out.text, out.len, "a.yml", &come, NULL, &err);
        if (!str_equal(r < 0 ? error_id(&err) : NULL, cases[i].refused))
            fail_msg("%s: %s", cases[i].volumes, r < 0 ? error_message(&err, r) : "taken");
    }
}

/* Tags of a service hold against what it extends, and against the files before it. */
static void test_tags_behind_extends(void **state)
{
    static const File files[] = {
        { "a.yml", "services: {web: {image: x, ports: ['80:80'], dns: [1.1.1.1], labels: {a: 1}}}\n" },
        { "b.yml", "services:\n"
                   "  web: {extends: base, ports: !reset [], dns: !override [8.8.8.8]}\n"
                   "  base: {ports: ['81:81'], dns: [9.9.9.9], labels: {b: !override '2'}}\n" },
        { "c.yml", "services: {web: {ports: ['82:82']}, base: !reset null}\n" },
        {},
    };

    (void) state;
    expect(files, NAMES("a.yml", "b.yml", "c.yml"), NULL,
           "services:\n  web:\n    image: x\n    ports:\n      - \"82:82\"\n    dns:\n      - 8.8.8.8\n"
           "    labels:\n      a: \"1\"\n      b: \"2\"\n");
    expect(
        (File[]) { { "a.yml", "services: {a: {image: x, ports: !reset ['80:80'], dns: !override [1.1.1.1]}}\n" }, {} },
        NAMES("a.yml"), NULL, "services:\n  a:\n    image: x\n    dns:\n      - 1.1.1.1\n");
}

static void test_circles_are_told_whole(void **state)
{
    static const File extending[] = {
        { "a.yml", "services:\n  a: {extends: {file: lib/b.yml, service: b}}\n" },
        { "lib/b.yml", "services:\n  b: {extends: c}\n  c: {extends: {file: ../a.yml, service: a}}\n" },
        {},
    };
    static const File including[] = {
        { "a.yml", "include: [b.yml]\n" },
        { "b.yml", "services: {}\ninclude:\n  - c/c.yml\n" },
        { "c/c.yml", "include: [../b.yml]\n" },
        {},
    };
    _cleanup_(gathered_done) Gathered one = {}, other = {};
    _cleanup_(error_done) Error err = {}, second = {};

    (void) state;
    assert_int_equal(gather(extending, NAMES("a.yml"), NULL, &one, &err), -EINVAL);
    assert_string_equal(error_id(&err), "gather.cycle");
    assert_string_equal(err.message, "services extend each other in a circle: a in a.yml → b in lib/b.yml → c in "
                                     "lib/b.yml → a in a.yml");
    assert_string_equal(err.file, "lib/b.yml");
    assert_int_equal(err.line, 3);
    assert_int_equal(gather(including, NAMES("a.yml"), NULL, &other, &second), -EINVAL);
    assert_string_equal(second.message, "files include each other in a circle: b.yml → c/c.yml → b.yml");
    assert_string_equal(second.file, "c/c.yml");
}

/* One look finds what is wrong in all of them, once each. */
static void test_all_faults_of_all_files(void **state)
{
    static const File files[] = {
        { "a.yml", "include:\n  - gone.yml\n  - b.yml\nservices:\n  a: {extends: x}\n  b: {extends: b}\n"
                   "  c: {extends: {file: l.yml, service: c}}\n  d: {extends: {file: l.yml, service: c}}\n" },
        { "b.yml", "services: [\n" },
        { "c.yml", "services: {a: {image: '${V}'}}\nx: !!str 1\n" },
        { "l.yml", "services:\n  c: {extends: y}\n" },
        {},
    };
    static const char *const expected[] = { "a.yml:5 gather.extends", "a.yml:6 gather.cycle", "l.yml:2 gather.extends",
                                            "a.yml:2 gather.missing", "b.yml:2 yaml.syntax",  "c.yml:2 yaml.tag" };
    _cleanup_(gathered_done) Gathered out = {};
    _cleanup_(error_done) Error err = {};

    (void) state;
    assert_int_equal(gather(files, NAMES("a.yml", "c.yml"), NULL, &out, &err), -EINVAL);
    assert_string_equal(error_id(&err), "gather.extends");
    for (size_t i = 0; i < ELEMENTSOF(expected) && i < out.faults.n; i++) {
        const Error *e = &out.faults.items[i];
        _cleanup_(freep) char *found = str_format("%s:%u %s", e->file, e->line, e->id);

        assert_string_equal(found, expected[i]);
    }
    assert_int_equal(out.faults.n, ELEMENTSOF(expected));
    assert_null(out.text);
}

/* The line of the text that begins with this, as it is in the file that it is from. */
static void expect_from(const Gathered *g, const char *begins, const char *file, unsigned line)
{
    unsigned n = 1;

    for (const char *p = g->text; *p; p = strchr(p, '\n') + 1, n++) {
        Error e = { .line = n };

        if (!str_starts(p + strspn(p, " "), begins))
            continue;
        gathered_locate(g, &e);
        if (!str_equal(e.file, file) || e.line != line)
            fail_msg("%s is from %s:%u, not %s:%u", begins, e.file ? e.file : "?", e.line, file, line);
        error_done(&e);
        return;
    }
    fail_msg("no line %s in\n%s", begins, g->text);
}

static void test_where_lines_come_from(void **state)
{
    static const File files[] = {
        { "a.yml", "include:\n  - i.yml\nservices:\n  web:\n    extends: {file: l.yml, service: l}\n    image: x\n"
                   "    command: >\n      a\n      b\n    environment:\n      - A=1\n" },
        { "b.yml", "services:\n  web:\n    image: y\n    environment:\n      B: '2'\n    ports:\n      - 80:80\n"
                   "    dns: !override\n      - 1.1.1.1\n" },
        { "i.yml", "services:\n\n  db:\n    image: db\n" },
        { "l.yml", "\nservices:\n  l:\n    restart: always\n    ports:\n      - 81:81\n    dns:\n      - 8.8.8.8\n" },
        {},
    };
    _cleanup_(gathered_done) Gathered out = {};
    Error none = { .line = 1000 };

    (void) state;
    assert_int_equal(gather(files, NAMES("a.yml", "b.yml"), NULL, &out, NULL), 0);
    expect_from(&out, "web:", "a.yml", 4);
    expect_from(&out, "image: \"y\"", "b.yml", 3);
    expect_from(&out, "command:", "a.yml", 7);
    expect_from(&out, "A:", "a.yml", 11);
    expect_from(&out, "B:", "b.yml", 5);
    expect_from(&out, "restart:", "l.yml", 4);
    expect_from(&out, "ports:", "l.yml", 5);
    expect_from(&out, "- \"81:81\"", "l.yml", 6);
    expect_from(&out, "- \"80:80\"", "b.yml", 7);
    expect_from(&out, "dns:", "b.yml", 8);
    expect_from(&out, "- \"1.1.1.1\"", "b.yml", 9);
    expect_from(&out, "db:", "i.yml", 3);
    gathered_locate(&out, &none);
    assert_null(none.file);
    assert_int_equal(none.line, 1000);
}

/* What is sent is compose.yml to those who get it. */
static void test_answers_about_what_was_sent(void **state)
{
    static const File files[] = { { "a.yml", "services:\n  web:\n    image: x\n" },
                                  { "b.yml", "\nservices:\n  web:\n    restart: no\n" },
                                  {} };
    _cleanup_(gathered_done) Gathered one = {}, two = {};
    _cleanup_(cJSON_Deletep) cJSON *error = cJSON_Parse("{\"file\":\"compose.yml\",\"line\":4,\"id\":\"x\"}");
    _cleanup_(cJSON_Deletep) cJSON *other = cJSON_Parse("{\"file\":\"policy.json\",\"line\":3}");
    _cleanup_(error_done) Error same = { .file = strdup("compose.yml"), .line = 3 };

    (void) state;
    assert_int_equal(gather(files, NAMES("a.yml", "b.yml"), NULL, &two, NULL), 0);
    gathered_locate_json(&two, error);
    assert_string_equal(json_string(error, "file"), "b.yml");
    assert_int_equal(cJSON_GetObjectItemCaseSensitive(error, "line")->valueint, 4);
    gathered_locate_json(&two, other);
    assert_string_equal(json_string(other, "file"), "policy.json");
    gathered_locate_json(&two, NULL);
    assert_int_equal(gather(files, NAMES("a.yml"), NULL, &one, NULL), 0);
    gathered_locate_answer(&one, &same);
    assert_string_equal(same.file, "a.yml");
    assert_int_equal(same.line, 3);
}

/* Of a variable that the box does not know, a plan says where the default is from. */
static void test_values_of_a_plan(void **state)
{
    static const File files[] = { { "a.yml", "services: {a: {image: '$A:${B}:${C:-1}', command: '$D $PASSWORD'}}\n" },
                                  { ".env", "A=1\nB=2\nPASSWORD=swordfish\n" },
                                  {} };
    static const char plan[] = "{\"variables\":[{\"name\":\"A\",\"from\":\"secbox.env\"},{\"name\":\"B\",\"from\":"
                               "\"default\"},{\"name\":\"C\",\"from\":\"default\"},{\"name\":\"PASSWORD\",\"from\":"
                               "\"default\"},{\"from\":\"default\"},7]}";
    _cleanup_(gathered_done) Gathered out = {};
    _cleanup_(cJSON_Deletep) cJSON *told = cJSON_Parse(plan);
    _cleanup_(freep) char *text = NULL;

    (void) state;
    assert_int_equal(gather(files, NAMES("a.yml"), NULL, &out, NULL), 0);
    gathered_name_values(&out, told);
    text = json_print(told);
    assert_string_equal(text,
                        "{\"variables\":[{\"name\":\"A\",\"from\":\"secbox.env\"},{\"name\":\"B\",\"from\":\".env\"}"
                        ",{\"name\":\"C\",\"from\":\"default\"},{\"name\":\"PASSWORD\",\"from\":\"default\"},"
                        "{\"from\":\"default\"},7]}");
    gathered_name_values(&out, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files_beside_it),
        cmocka_unit_test(test_files_in_a_folder),
        cmocka_unit_test(test_other_uses_of_a_secret),
        cmocka_unit_test(test_files_for_the_checks),
        cmocka_unit_test(test_tags_behind_extends),
        cmocka_unit_test(test_circles_are_told_whole),
        cmocka_unit_test(test_all_faults_of_all_files),
        cmocka_unit_test(test_where_lines_come_from),
        cmocka_unit_test(test_answers_about_what_was_sent),
        cmocka_unit_test(test_values_of_a_plan),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

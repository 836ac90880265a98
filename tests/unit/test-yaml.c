/* SPDX-License-Identifier: MIT */
/* Strict YAML: what is accepted and how it reads, and that every hostile text is refused with the right id
 * and line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/data/yaml.h"

#define BOMB_USEC_MAX 50000
#define BOMB_KIB_MAX (20 * 1024)

/* There in a program with AddressSanitizer, which takes time and memory of its own. */
extern void __asan_init(void) __attribute__((weak));

static YamlNode *parse_good(const char *text)
{
    _cleanup_(error_done) Error err = {};
    YamlNode *root = NULL;

    if (yaml_parse(text, strlen(text), "f.yml", &root, &err) < 0)
        fail_msg("%s: %s", error_id(&err), error_message(&err, 0));
    return root;
}

static void test_tree(void **state)
{
    _cleanup_(yaml_node_freep) YamlNode *root = parse_good("a: 22:22\n"
                                                           "b:\n"
                                                           "  - x\n"
                                                           "  - \"y\\n\"\n"
                                                           "  - {k: 'v', n: }\n"
                                                           "? c\n"
                                                           ": |\n"
                                                           "  [[[[ not flow\n");
    const YamlNode *b = yaml_get(root, "b");

    (void) state;
    assert_int_equal(root->type, YAML_MAPPING);
    assert_int_equal(root->n_items, 3);
    assert_string_equal(yaml_get(root, "a")->value, "22:22");
    assert_true(yaml_get(root, "a")->plain);
    assert_int_equal(b->type, YAML_SEQUENCE);
    assert_int_equal(b->key_line, 2);
    assert_int_equal(b->line, 3);
    assert_int_equal(b->n_items, 3);
    assert_false(b->items[1]->plain);
    assert_string_equal(b->items[1]->value, "y\n");
    assert_int_equal(b->items[1]->line, 4);
    assert_string_equal(yaml_get(b->items[2], "k")->value, "v");
    assert_true(yaml_is_null(yaml_get(b->items[2], "n")));
    assert_string_equal(yaml_get(root, "c")->value, "[[[[ not flow\n");
    assert_null(yaml_get(root, "d"));
    assert_null(yaml_get(b, "d"));
    assert_null(yaml_get(NULL, "d"));
}

static void test_copy(void **state)
{
    _cleanup_(yaml_node_freep) YamlNode *root = parse_good("a: [1, {b: c}, d, e, f]\n");
    YamlNode *copy = yaml_node_copy(root);

    (void) state;
    root = yaml_node_free(root);
    assert_int_equal(yaml_get(copy, "a")->n_items, 5);
    assert_string_equal(yaml_get(yaml_get(copy, "a")->items[1], "b")->value, "c");
    assert_string_equal(yaml_get(copy, "a")->items[4]->value, "f");
    yaml_node_free(copy);
}

static void test_types(void **state)
{
    static const struct {
        const char *text;
        bool null;
        int boolean; /* -1: none */
    } cases[] = {
        { "a: ", true, -1 },     { "a: ~", true, -1 },       { "a: null", true, -1 },    { "a: NULL", true, -1 },
        { "a: ''", false, -1 },  { "a: 'null'", false, -1 }, { "a: nil", false, -1 },    { "a: true", false, 1 },
        { "a: True", false, 1 }, { "a: FALSE", false, 0 },   { "a: 'true'", false, -1 }, { "a: yes", false, -1 },
        { "a: on", false, -1 },  { "a: 0", false, -1 },      { "a: []", false, -1 },     { "a: tRUE", false, -1 },
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(yaml_node_freep) YamlNode *root = parse_good(cases[i].text);
        const YamlNode *a = yaml_get(root, "a");
        bool value = false;

        assert_int_equal(yaml_is_null(a), cases[i].null);
        assert_int_equal(yaml_is_bool(a, &value), cases[i].boolean >= 0);
        if (cases[i].boolean >= 0)
            assert_int_equal(value, cases[i].boolean);
    }
}

static void test_refused(void **state)
{
    static const struct {
        const char *text;
        const char *id;
        unsigned line;
    } cases[] = {
        { "", "yaml.empty", 1 },
        { "# nothing\n\n", "yaml.empty", 1 },
        { "---\n...\n", "yaml.empty", 1 },
        { "null\n", "yaml.empty", 1 },
        { "a: 1\n---\nb: 2\n", "yaml.multiple-documents", 2 },
        { "a: 1\n...\n---\nb: 2\n", "yaml.multiple-documents", 3 },
        { "&k a: 1\n", "yaml.anchor", 1 },
        { "a: *x\n", "yaml.alias", 1 },
        { "a: *x\nb: &x 1\n", "yaml.alias", 1 },
        { "a: &x b\n*x : c\n", "yaml.alias", 2 },
        { "a: &a [*a]\n", "yaml.alias", 1 },
        { "a: &a\n  b: {<<: *a}\n", "yaml.alias", 2 },
        { "x: 1\n\na: !!str 1\n", "yaml.tag", 3 },
        { "a: ! x\n", "yaml.tag", 1 },
        { "a: !local [x]\n", "yaml.tag", 1 },
        { "a: !reset [x]\n", "yaml.tag", 1 },
        { "a: !<tag:yaml.org,2002:python/object:os.system> x\n", "yaml.tag", 1 },
        { "a: 1\n<<: b\n", "yaml.merge-key", 2 },
        { "a: 1\n<<: [{b: 1}, c]\n", "yaml.merge-key", 2 },
        { "<<: {a: 1}\n<<: {b: 1}\n", "yaml.duplicate-key", 2 },
        { "a: 1\nb: 2\na: 3\n", "yaml.duplicate-key", 3 },
        { "s:\n  {a: 1, 'a': 2}\n", "yaml.duplicate-key", 2 },
        { "[a]: 1\n", "yaml.syntax", 1 },
        { "? {a: 1}\n: 1\n", "yaml.syntax", 1 },
        { "'': 1\n", "yaml.syntax", 1 },
        { "\"a\\nb\": 1\n", "yaml.syntax", 1 },
        { "a: 1\n\tb: 2\n", "yaml.syntax", 2 },
        { "a: [1\nb: 2\n", "yaml.syntax", 2 },
        { "a: 'x\n", "yaml.syntax", 2 },
        { "a: x: y\n", "yaml.syntax", 1 },
        { "%YAML 1.1\n---\na: 1\n", "yaml.syntax", 1 },
        { "a: 1\n%TAG ! x\n", "yaml.syntax", 2 },
        { "a: 1\nb: \"\\0\"\n", "yaml.syntax", 2 },
        { "a: 1\nb: \x01\n", "yaml.syntax", 2 },
        { "a: 1\rb: 2\n", "yaml.syntax", 1 },
        { "\xef\xbb\xbf"
          "a: 1\n",
          "yaml.syntax", 1 },
        { "a: x\xe2\x80\xa8y\n", "yaml.syntax", 1 },
        { "a: x\xc2\x85y\n", "yaml.syntax", 1 },
        { "a: x\x7fy\n", "yaml.syntax", 1 },
        { "a: \xff\n", "yaml.not-utf8", 0 },
        { "a: \xc0\xaf\n", "yaml.not-utf8", 0 },
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(error_done) Error err = {};
        YamlNode *root = (YamlNode *) 0x1;
        int r = yaml_parse(cases[i].text, strlen(cases[i].text), "f.yml", &root, &err);

        if (r >= 0 || !str_equal(err.id, cases[i].id) || err.line != cases[i].line)
            fail_msg("case %zu: %d %s line %u, expected %s line %u", i, r, error_id(&err), err.line, cases[i].id,
                     cases[i].line);
        assert_ptr_equal(root, (YamlNode *) 0x1);
        assert_string_equal(err.file, "f.yml");
        assert_true(strlen(error_message(&err, r)) > 5);
    }
}

static void test_accepted(void **state)
{
    static const char *const cases[] = {
        "---\na: 1\n", "a: 1\n...\n", "a: 1\r\nb: 2\r\n",          "a: '%x'\nb: x%y\n",
        "- a\n- b\n",  "'<<': 1\n",   "a: >-\n  folded\n  text\n", "a: \xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\n",
        "word\n",
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++)
        yaml_node_free(parse_good(cases[i]));
}

static void expect_id(const char *text, size_t len, const char *id, const char *what)
{
    _cleanup_(error_done) Error err = {};
    YamlNode *root = NULL;
    int r = yaml_parse(text, len, "bomb", &root, &err);

    if (r >= 0 || !str_equal(err.id, id))
        fail_msg("%s: %d %s, expected %s", what, r, error_id(&err), id);
}

/* What a file may hold that is not worth the memory. */
static const struct {
    const char *head;
    const char *unit; /* repeated up to the size cap */
    const char *id;
} bombs[] = {
    { "", "[", "yaml.too-deep" },
    { "", "{", "yaml.syntax" }, /* a mapping as a key */
    { "", "[\n", "yaml.too-deep" },
    { "a: ", "{a: ", "yaml.too-deep" },
    { "", "{a: {a: \n", "yaml.too-deep" },
    { "", "- ", "yaml.too-deep" },
    { "", "? ", "yaml.syntax" },
    { "", "- ? - ", "yaml.syntax" },
    { "", "- a: ", "yaml.syntax" },
    { "", "]", "yaml.syntax" },
    { "", "&a ", "yaml.syntax" },
    { "", "- &a 1\n", "yaml.too-many-nodes" },
    { "a: &a [x, x, x, x, x, x, x, x]\nb:\n", "- *a\n", "yaml.too-many-nodes" },
    { "a: &a {x: y}\nb:\n", "- <<: [*a, *a, *a, *a]\n", "yaml.too-many-nodes" },
    { "", "*a ", "yaml.alias" },
    { "", "!a ", "yaml.tag" },
    { "", "- !a 1\n", "yaml.tag" },
    { "%TAG !a! x\n", "%TAG !b! x\n", "yaml.syntax" },
    { "", "---\n", "yaml.multiple-documents" },
    { "", "- 1\n", "yaml.too-many-nodes" },
    { "[", "1,", "yaml.too-many-nodes" },
    { "[", ",", "yaml.syntax" },
    { "[", "a: 1,", "yaml.too-many-nodes" },
    { "{", "a,", "yaml.too-many-nodes" },
    { "a", " a", NULL },
    { "a", "\n a", NULL },
    { "? a", "\n a", "yaml.syntax" },
    { "'", "\n'", "yaml.syntax" },
    { "\"", "\\x", "yaml.syntax" },
    { "\"", "\\u0041", "yaml.syntax" },
    { "a: |\n", "  x\n", NULL },
    { "a: |\n", "\n", NULL },
    { "", "#", "yaml.empty" },
    { "", "#\n", "yaml.empty" },
    { "", " ", "yaml.empty" },
    { "", "\n", "yaml.empty" },
    { "", "a: \n", "yaml.too-many-nodes" },
    { "[", "\"a\" ", "yaml.syntax" },
    { "[", "? ", "yaml.syntax" },
    { "[", "'a': [", "yaml.too-deep" },
    { "a: [", "a, [", "yaml.too-deep" },
};

static size_t make_bomb(size_t i, char text[static YAML_SIZE_MAX])
{
    size_t len = strlen(bombs[i].head), unit = strlen(bombs[i].unit);

    memcpy(text, bombs[i].head, len);
    for (; len + unit <= YAML_SIZE_MAX; len += unit)
        memcpy(text + len, bombs[i].unit, unit);
    return len;
}

static void test_f11_bombs(void **state)
{
    _cleanup_(freep) char *text = malloc(YAML_SIZE_MAX);

    (void) state;
    assert_non_null(text);
    for (size_t i = 0; i < ELEMENTSOF(bombs); i++) {
        _cleanup_(error_done) Error err = {};
        _cleanup_(yaml_node_freep) YamlNode *root = NULL;
        size_t len = make_bomb(i, text);

        if (bombs[i].id)
            expect_id(text, len, bombs[i].id, bombs[i].unit);
        else if (yaml_parse(text, len, "bomb", &root, &err) < 0)
            fail_msg("%s: %s %s", bombs[i].unit, error_id(&err), error_message(&err, 0));
    }
}

/* In a process of its own, whose use of the processor and of memory is its own, too: 0 for little of both. */
static int cost_of(const char *text, size_t len)
{
    struct rusage before, after;
    YamlNode *root = NULL;
    int64_t usec, times = __asan_init ? 10 : 1;

    if (getrusage(RUSAGE_SELF, &before) < 0)
        return 1;
    if (yaml_parse(text, len, "bomb", &root, NULL) == 0)
        yaml_node_free(root);
    if (getrusage(RUSAGE_SELF, &after) < 0)
        return 1;
    usec =
        (after.ru_utime.tv_sec - before.ru_utime.tv_sec) * 1000000 + after.ru_utime.tv_usec - before.ru_utime.tv_usec;
    return usec > BOMB_USEC_MAX * times ? 2 : after.ru_maxrss - before.ru_maxrss > BOMB_KIB_MAX * times ? 3 : 0;
}

static void test_f11_bombs_cost_little(void **state)
{
    _cleanup_(freep) char *text = malloc(YAML_SIZE_MAX);

    (void) state;
    assert_non_null(text);
    for (size_t i = 0; i < ELEMENTSOF(bombs); i++) {
        size_t len = make_bomb(i, text);
        pid_t child = fork();
        int status = 0;

        assert_true(child >= 0);
        if (child == 0)
            _exit(cost_of(text, len));
        assert_int_equal(waitpid(child, &status, 0), child);
        if (status != 0)
            fail_msg("%s: %s", bombs[i].unit, WEXITSTATUS(status) == 2 ? "it takes long" : "it takes much memory");
    }
}

static void test_f11_large(void **state)
{
    const size_t len = 10 * 1024 * 1024;
    _cleanup_(freep) char *text = malloc(len);
    char key[300];

    (void) state;
    assert_non_null(text);
    memset(text, 'x', len);
    expect_id(text, len, "yaml.too-large", "10 MB scalar");
    expect_id(text, YAML_SIZE_MAX + 1, "yaml.too-large", "one byte more");
    snprintf(key, sizeof(key), "%0250d: 1\n", 0);
    expect_id(key, strlen(key), "yaml.syntax", "long key");
}

static void test_f11_billion_laughs(void **state)
{
    _cleanup_(buf_done) Buf lists = BUF_INIT(4096), merges = BUF_INIT(4096), deep = BUF_INIT(4096);

    (void) state;
    assert_int_equal(buf_puts(&lists, "a0: &a0 [lol]\n"), 0);
    assert_int_equal(buf_puts(&merges, "m0: &m0 {k0: v}\n"), 0);
    assert_int_equal(buf_puts(&deep, "d0: &d0 x\n"), 0);
    for (int i = 1; i < 40; i++) {
        assert_int_equal(buf_printf(&lists, "a%d: &a%d [*a%d, *a%d, *a%d]\n", i, i, i - 1, i - 1, i - 1), 0);
        assert_int_equal(buf_printf(&merges, "m%d: &m%d {<<: *m%d, k%d: *m%d}\n", i, i, i - 1, i, i - 1), 0);
        assert_int_equal(buf_printf(&deep, "d%d: &d%d [*d%d]\n", i, i, i - 1), 0);
    }
    expect_id(lists.data, lists.len, "yaml.too-many-nodes", "lists of lists");
    expect_id(merges.data, merges.len, "yaml.too-many-nodes", "merges of merges");
    expect_id(deep.data, deep.len, "yaml.too-deep", "a list in a list");
}

/* One large value, many times. */
static void test_f11_large_value_by_alias(void **state)
{
    _cleanup_(buf_done) Buf b = BUF_INIT(YAML_SIZE_MAX);

    (void) state;
    assert_int_equal(buf_printf(&b, "a: &a \"%0100000d\"\nb:\n", 0), 0);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(buf_puts(&b, "- *a\n"), 0);
    expect_id(b.data, b.len, "yaml.too-many-nodes", "a large value by aliases");
}

static void test_many_merged_members(void **state)
{
    _cleanup_(buf_done) Buf b = BUF_INIT(YAML_SIZE_MAX);

    (void) state;
    assert_int_equal(buf_puts(&b, "a: &a\n"), 0);
    for (int i = 0; i < 600; i++)
        assert_int_equal(buf_printf(&b, "  k%d: v\n", i), 0);
    assert_int_equal(buf_puts(&b, "b: {<<: *a}\n"), 0);
    expect_id(b.data, b.len, "yaml.too-many-nodes", "many merged members");
}

static void test_aliases_and_merges(void **state)
{
    _cleanup_(yaml_node_freep) YamlNode *root = parse_good("x: &x {a: 1, b: 2}\ny: &y {b: 3, c: 4}\nl: &l [p, &q r]\n"
                                                           "m: {<<: *x, b: own}\nn: {<<: [*x, *y]}\no: *l\np: *q\n"
                                                           "s: {<<: &z {d: 5}}\nt: *z\nu: &x again\nv: *x\n");
    const YamlNode *m = yaml_get(root, "m"), *n = yaml_get(root, "n"), *o = yaml_get(root, "o");

    (void) state;
    assert_int_equal(m->n_items, 2);
    assert_string_equal(yaml_get(m, "a")->value, "1");
    assert_string_equal(yaml_get(m, "b")->value, "own");
    assert_int_equal(n->n_items, 3);
    assert_string_equal(yaml_get(n, "b")->value, "2");
    assert_string_equal(yaml_get(n, "c")->value, "4");
    assert_string_equal(o->items[1]->value, "r");
    assert_int_equal(o->key_line, 6);
    assert_string_equal(yaml_get(root, "p")->value, "r");
    assert_string_equal(yaml_get(yaml_get(root, "s"), "d")->value, "5");
    assert_string_equal(yaml_get(yaml_get(root, "t"), "d")->value, "5");
    assert_string_equal(yaml_get(root, "v")->value, "again");
}

/* The character is named as an editor shows it. */
static void test_characters_are_named(void **state)
{
    static const struct {
        const char *text, *named;
    } cases[] = {
        { "a: x\xe2\x80\xa8y\n", "U+2028" },
        { "a: x\xc2\x85y\n", "U+0085" },
        { "a: x\x7fy\n", "U+007F" },
        { "\xef\xbb\xbf"
          "a: 1\n",
          "U+FEFF (a byte order mark)" },
        { "a: \x01\n", "U+0001" },
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(error_done) Error err = {};
        YamlNode *root = NULL;
        int r = yaml_parse(cases[i].text, strlen(cases[i].text), "f.yml", &root, &err);

        assert_true(r < 0);
        if (!strstr(error_message(&err, r), cases[i].named))
            fail_msg("%s: %s", cases[i].named, error_message(&err, r));
    }
}

static void test_f11_depth(void **state)
{
    char text[256];
    _cleanup_(yaml_node_freep) YamlNode *root = NULL;

    (void) state;
    memset(text, '[', YAML_DEPTH_MAX);
    memset(text + YAML_DEPTH_MAX, ']', YAML_DEPTH_MAX);
    assert_int_equal(yaml_parse(text, YAML_DEPTH_MAX * 2, "f", &root, NULL), 0);
    memset(text, '[', YAML_DEPTH_MAX + 1);
    memset(text + YAML_DEPTH_MAX + 1, ']', YAML_DEPTH_MAX + 1);
    expect_id(text, YAML_DEPTH_MAX * 2 + 2, "yaml.too-deep", "one level more");
}

/* Tags of merging stand at members of mappings, and nowhere else. */
static void test_tags_of_merging(void **state)
{
    static const char text[] = "a: !reset null\nb: !override {c: 1, d: !reset }\ne: &e !override [x]\nf: *e\n";
    static const char *const refused[] = { "!reset {a: 1}\n", "a: [!override x]\n", "!reset a: 1\n", "a: !other x\n",
                                           "a: !!str x\n" };
    _cleanup_(yaml_node_freep) YamlNode *root = NULL;

    (void) state;
    assert_int_equal(yaml_parse_tagged(text, strlen(text), "f.yml", &root, NULL), 0);
    assert_int_equal(yaml_get(root, "a")->tag, YAML_TAG_RESET);
    assert_int_equal(yaml_get(root, "b")->tag, YAML_TAG_OVERRIDE);
    assert_int_equal(yaml_get(yaml_get(root, "b"), "c")->tag, YAML_TAG_NONE);
    assert_int_equal(yaml_get(yaml_get(root, "b"), "d")->tag, YAML_TAG_RESET);
    assert_int_equal(yaml_get(root, "f")->tag, YAML_TAG_OVERRIDE);
    for (size_t i = 0; i < ELEMENTSOF(refused); i++) {
        _cleanup_(yaml_node_freep) YamlNode *none = NULL;
        _cleanup_(error_done) Error err = {};

        assert_true(yaml_parse_tagged(refused[i], strlen(refused[i]), "f.yml", &none, &err) < 0);
        assert_string_equal(error_id(&err), "yaml.tag");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tags_of_merging),
        cmocka_unit_test(test_tree),
        cmocka_unit_test(test_copy),
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_accepted),
        cmocka_unit_test(test_f11_bombs),
        cmocka_unit_test(test_f11_bombs_cost_little),
        cmocka_unit_test(test_f11_large),
        cmocka_unit_test(test_f11_billion_laughs),
        cmocka_unit_test(test_f11_depth),
        cmocka_unit_test(test_f11_large_value_by_alias),
        cmocka_unit_test(test_many_merged_members),
        cmocka_unit_test(test_aliases_and_merges),
        cmocka_unit_test(test_characters_are_named),
    };

    return cmocka_run_group_tests_name("yaml", tests, NULL, NULL);
}

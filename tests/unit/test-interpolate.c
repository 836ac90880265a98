/* SPDX-License-Identifier: MIT */
/* The interpolation grammar of the Compose specification, case by case. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "compose/parse/interpolate.h"
#include "compose/parse/stated-name.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"

/* A=a, B=b, E is set and empty, D holds text that looks like a variable, Q has quotes, LONG is 4 KiB. */
static char long_value[4097];

static const char *lookup(const char *key, void *userdata)
{
    static const struct {
        const char *key, *value;
    } values[] = {
        { "A", "a" },   { "B", "b" },       { "E", "" },           { "D", "$A ${A} $$ ${NOPE}" },
        { "Q", "'\"" }, { "_x9", "under" }, { "UTF", "\xc3\xa9" }, { "LONG", long_value },
    };
    unsigned *count = userdata;

    if (count)
        ++*count;
    for (size_t i = 0; i < ELEMENTSOF(values); i++)
        if (str_equal(values[i].key, key))
            return values[i].value;
    return NULL;
}

static const struct {
    const char *text;
    const char *result; /* or NULL, then: */
    const char *id;
    const char *says;
} cases[] = {
    /* no variable at all */
    { "", "", NULL, NULL },
    { "plain text", "plain text", NULL, NULL },
    { "{a} }{ }", "{a} }{ }", NULL, NULL },
    { "\xe2\x82\xac", "\xe2\x82\xac", NULL, NULL },
    /* $NAME */
    { "$A", "a", NULL, NULL },
    { "$A$B", "ab", NULL, NULL },
    { "x$A/y", "xa/y", NULL, NULL },
    { "$A-$B", "a-b", NULL, NULL },
    { "$A:-x", "a:-x", NULL, NULL },
    { "$A.B", "a.B", NULL, NULL },
    { "$_x9.", "under.", NULL, NULL },
    { "$E", "", NULL, NULL },
    { "$E$A", "a", NULL, NULL },
    { "$NOPE", NULL, "interpolate.unset", "NOPE" },
    { "$AB", NULL, "interpolate.unset", "AB" },
    { "$UTF\xc3\xa9", "\xc3\xa9\xc3\xa9", NULL, NULL },
    /* ${NAME} */
    { "${A}", "a", NULL, NULL },
    { "${A}B", "aB", NULL, NULL },
    { "${A}${B}", "ab", NULL, NULL },
    { "${E}", "", NULL, NULL },
    { "${NOPE}", NULL, "interpolate.unset", "variable NOPE is not set and has no default; add NOPE=" },
    { "x ${A} y ${NOPE}", NULL, "interpolate.unset", "NOPE" },
    /* dollars */
    { "$$", "$", NULL, NULL },
    { "$$$$", "$$", NULL, NULL },
    { "$$A", "$A", NULL, NULL },
    { "$$$A", "$a", NULL, NULL },
    { "$${A}", "${A}", NULL, NULL },
    { "$${A", "${A", NULL, NULL },
    { "$$${A}", "$a", NULL, NULL },
    { "$", "$", NULL, NULL },
    { "a$", "a$", NULL, NULL },
    { "$ 5", "$ 5", NULL, NULL },
    { "$1", "$1", NULL, NULL },
    { "$-$.$}", "$-$.$}", NULL, NULL },
    { "$(id)", "$(id)", NULL, NULL },
    { "`id`", "`id`", NULL, NULL },
    { "^a$|$A", "^a$|a", NULL, NULL },
    /* values are not expanded again */
    { "$D", "$A ${A} $$ ${NOPE}", NULL, NULL },
    { "${D}", "$A ${A} $$ ${NOPE}", NULL, NULL },
    { "${D:-x}", "$A ${A} $$ ${NOPE}", NULL, NULL },
    { "${NOPE:-$D}", "$A ${A} $$ ${NOPE}", NULL, NULL },
    { "$Q", "'\"", NULL, NULL },
    /* :- and - */
    { "${A:-x}", "a", NULL, NULL },
    { "${A-x}", "a", NULL, NULL },
    { "${E:-x}", "x", NULL, NULL },
    { "${E-x}", "", NULL, NULL },
    { "${NOPE:-x}", "x", NULL, NULL },
    { "${NOPE-x}", "x", NULL, NULL },
    { "${NOPE:-}", "", NULL, NULL },
    { "${NOPE-}", "", NULL, NULL },
    { "${E:-}", "", NULL, NULL },
    { "${NOPE:--}", "-", NULL, NULL },
    { "${NOPE:-:-}", ":-", NULL, NULL },
    { "${NOPE:-a b  c}", "a b  c", NULL, NULL },
    { "${NOPE:-'q'}", "'q'", NULL, NULL },
    { "${NOPE:-https://x.example/y?z=1}", "https://x.example/y?z=1", NULL, NULL },
    { "${NOPE:-a\nb}", "a\nb", NULL, NULL },
    { "${NOPE:-\xc3\xa9}", "\xc3\xa9", NULL, NULL },
    { "${NOPE:-$}", "$", NULL, NULL },
    { "${NOPE:-$$}", "$", NULL, NULL },
    { "${NOPE:-$$A}", "$A", NULL, NULL },
    { "${NOPE:-$${A}}", "${A}", NULL, NULL },
    /* nested */
    { "${NOPE:-$A}", "a", NULL, NULL },
    { "${NOPE:-${A}}", "a", NULL, NULL },
    { "${NOPE:-${E:-${B}}}", "b", NULL, NULL },
    { "${NOPE-${NOPE2-${NOPE3-deep}}}", "deep", NULL, NULL },
    { "${NOPE:-x${A}y${B}z}", "xaybz", NULL, NULL },
    { "${NOPE:-${NOPE2}}", NULL, "interpolate.unset", "NOPE2" },
    { "${A:-${NOPE}}", "a", NULL, NULL },
    { "${A:-${NOPE:?no}}", "a", NULL, NULL },
    { "${A:+${NOPE:-${B}}}", "b", NULL, NULL },
    /* braces inside */
    { "${NOPE:-{}}", "{}", NULL, NULL },
    { "${NOPE:-{\"a\":{\"b\":1}}}", "{\"a\":{\"b\":1}}", NULL, NULL },
    { "${NOPE:-{$A}}", "{a}", NULL, NULL },
    { "${NOPE:-{${A}}}x}", "{a}x}", NULL, NULL },
    { "${A:-{}}z", "az", NULL, NULL },
    { "${NOPE:-{}", NULL, "interpolate.syntax", "closing brace" },
    { "${NOPE:-a}b}", "ab}", NULL, NULL },
    /* :+ and + */
    { "${A:+r}", "r", NULL, NULL },
    { "${A+r}", "r", NULL, NULL },
    { "${E:+r}", "", NULL, NULL },
    { "${E+r}", "r", NULL, NULL },
    { "${NOPE:+r}", "", NULL, NULL },
    { "${NOPE+r}", "", NULL, NULL },
    { "${NOPE:+${NOPE2}}", "", NULL, NULL },
    { "${A:+}", "", NULL, NULL },
    { "${A:+--flag=$A}", "--flag=a", NULL, NULL },
    { "${A:+${NOPE}}", NULL, "interpolate.unset", "NOPE" },
    /* :? and ? */
    { "${A:?m}", "a", NULL, NULL },
    { "${A?m}", "a", NULL, NULL },
    { "${E?m}", "", NULL, NULL },
    { "${E:?must not be empty}", NULL, "interpolate.required", "E is required: must not be empty" },
    { "${NOPE:?set me}", NULL, "interpolate.required", "NOPE is required: set me" },
    { "${NOPE?set me}", NULL, "interpolate.required", "set me" },
    { "${NOPE:?}", NULL, "interpolate.required", "NOPE" },
    { "${NOPE?}", NULL, "interpolate.required", "NOPE" },
    { "${NOPE:?need ${A} or ${NOPE2:-c}}", NULL, "interpolate.required", "need a or c" },
    { "${NOPE:?see {this}}", NULL, "interpolate.required", "see {this}" },
    { "${NOPE:?${NOPE2}}", NULL, "interpolate.unset", "NOPE2" },
    { "${A:?${NOPE2}}", "a", NULL, NULL },
    /* bad names and operators */
    { "${}", NULL, "interpolate.syntax", "does not name a variable" },
    { "${1}", NULL, "interpolate.syntax", "\"${1}\"" },
    { "${1A}", NULL, "interpolate.syntax", NULL },
    { "${A.B}", NULL, "interpolate.syntax", "goes on with \".B" },
    { "${A B}", NULL, "interpolate.syntax", NULL },
    { "${ A}", NULL, "interpolate.syntax", NULL },
    { "${A }", NULL, "interpolate.syntax", NULL },
    { "${A-B-C}", "a", NULL, NULL },
    { "${A:x}", NULL, "interpolate.syntax", NULL },
    { "${A:=x}", NULL, "interpolate.syntax", NULL },
    { "${A=x}", NULL, "interpolate.syntax", NULL },
    { "${A:}", NULL, "interpolate.syntax", NULL },
    { "${A/x/y}", NULL, "interpolate.syntax", NULL },
    { "${A[0]}", NULL, "interpolate.syntax", NULL },
    { "${#A}", NULL, "interpolate.syntax", NULL },
    { "${!A}", NULL, "interpolate.syntax", NULL },
    { "${${A}}", NULL, "interpolate.syntax", NULL },
    { "${$A}", NULL, "interpolate.syntax", NULL },
    { "${\xc3\xa9}", NULL, "interpolate.syntax", NULL },
    { "${-x}", NULL, "interpolate.syntax", NULL },
    /* not closed */
    { "${", NULL, "interpolate.syntax", "closing brace" },
    { "a ${A", NULL, "interpolate.syntax", "closing brace" },
    { "${NOPE", NULL, "interpolate.syntax", "closing brace" },
    { "${A:", NULL, "interpolate.syntax", NULL },
    { "${A:-", NULL, "interpolate.syntax", "closing brace" },
    { "${A:-x", NULL, "interpolate.syntax", "closing brace" },
    { "${NOPE:-${A}", NULL, "interpolate.syntax", "closing brace" },
    { "${NOPE:?x", NULL, "interpolate.syntax", NULL },
    /* syntax counts in an alternative that is not taken, too */
    { "${A:-${1}}", NULL, "interpolate.syntax", NULL },
    { "${A:-${B}", NULL, "interpolate.syntax", NULL },
    { "${NOPE:+${A.B}}", NULL, "interpolate.syntax", NULL },
};

static void test_grammar(void **state)
{
    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        const InterpolateContext context = { .lookup = lookup, .file = "c.yml", .line = 7, .key = "services.a.b[0]" };
        _cleanup_(error_done) Error err = {};
        _cleanup_(freep) char *result = NULL;
        int r = interpolate(cases[i].text, &context, &result, &err);

        if (cases[i].result) {
            if (r < 0 || !str_equal(result, cases[i].result))
                fail_msg("%s gave %s %s, expected %s", cases[i].text, result ? result : "(none)",
                         error_message(&err, r), cases[i].result);
            continue;
        }
        if (r >= 0 || result || !str_equal(err.id, cases[i].id) ||
            (cases[i].says && !strstr(error_message(&err, r), cases[i].says)))
            fail_msg("%s gave %s \"%s\", expected %s", cases[i].text, r < 0 ? error_id(&err) : result,
                     error_message(&err, r), cases[i].id);
        assert_string_equal(err.file, "c.yml");
        assert_int_equal(err.line, 7);
        assert_string_equal(err.key, "services.a.b[0]");
        assert_true(utf8_is_valid(err.message, strlen(err.message)));
    }
}

static int expect_interpolation(const char *text, char **ret, Error *err)
{
    const InterpolateContext context = { .lookup = lookup };

    return interpolate(text, &context, ret, err);
}

static void test_depth(void **state)
{
    char text[512] = "";
    _cleanup_(freep) char *result = NULL;
    _cleanup_(error_done) Error err = {};
    size_t n = 0;

    (void) state;
    for (int i = 0; i < INTERPOLATE_DEPTH_MAX; i++, n += 6)
        memcpy(text + n, "${N:-x", 6);
    memset(text + n, '}', INTERPOLATE_DEPTH_MAX);
    assert_int_equal(expect_interpolation(text, &result, &err), 0);
    assert_string_equal(result, "xxxxxxxxxxxxxxxx");

    memmove(text + 6, text, n + INTERPOLATE_DEPTH_MAX);
    memcpy(text, "${N:-x", 6);
    text[n + 6 + INTERPOLATE_DEPTH_MAX] = '}';
    assert_int_equal(expect_interpolation(text, &result, &err), -EMSGSIZE);
    assert_string_equal(err.id, "interpolate.too-deep");
}

static void test_length(void **state)
{
    char text[17 * 7 + 1];
    _cleanup_(freep) char *result = NULL;
    _cleanup_(error_done) Error err = {};
    size_t n = 0;

    (void) state;
    memset(long_value, 'v', sizeof(long_value) - 1);
    for (int i = 0; i < 16; i++, n += 7)
        memcpy(text + n, "${LONG}", 8);
    assert_int_equal(expect_interpolation(text, &result, &err), 0);
    assert_int_equal(strlen(result), INTERPOLATE_RESULT_MAX);
    memcpy(text + n, "${LONG}", 8);
    assert_int_equal(expect_interpolation(text, &result, &err), -EMSGSIZE);
    assert_string_equal(err.id, "interpolate.too-long");
    long_value[0] = '\0';
}

static void test_name_length(void **state)
{
    char text[80] = "${";
    _cleanup_(freep) char *result = NULL;
    _cleanup_(error_done) Error err = {};

    (void) state;
    memset(text + 2, 'N', ENV_KEY_MAX);
    memcpy(text + 2 + ENV_KEY_MAX, ":-y}", 5);
    assert_int_equal(expect_interpolation(text, &result, &err), 0);
    assert_string_equal(result, "y");
    memcpy(text + 2 + ENV_KEY_MAX, "N:-}", 5);
    assert_int_equal(expect_interpolation(text, &result, &err), -EINVAL);
    assert_string_equal(err.id, "interpolate.syntax");
}

/* An alternative that is not taken is not looked up either. */
static void test_not_evaluated(void **state)
{
    unsigned count = 0;
    const InterpolateContext context = { .lookup = lookup, .userdata = &count };
    _cleanup_(freep) char *result = NULL;

    (void) state;
    assert_int_equal(interpolate("${A:-${B}$B}${NOPE:+$B}${A:?$B}", &context, &result, NULL), 0);
    assert_string_equal(result, "aa");
    assert_int_equal(count, 3);
}

static int collect(const char *name, void *userdata)
{
    (void) userdata;
    return str_starts(name, "BAD") ? -ENOMEM : 0;
}

static void test_on_unset(void **state)
{
    const InterpolateContext context = { .lookup = lookup, .on_unset = collect };
    _cleanup_(freep) char *result = NULL;

    (void) state;
    assert_int_equal(interpolate("<$X1${X2}${X3:?m}${A}${X4:-d}${X5:-$X6}>", &context, &result, NULL), 0);
    assert_string_equal(result, "<ad>");
    assert_int_equal(interpolate("$BAD", &context, &result, NULL), -ENOMEM);
    assert_string_equal(result, "<ad>");
}

static void test_has_variable(void **state)
{
    static const struct {
        const char *text;
        bool has;
    } texts[] = {
        { "", false },      { "a", false }, { "$", false },    { "$$", false },    { "$$A", false },
        { "$1", false },    { "$A", true }, { "x$A", true },   { "${", true },     { "$$$A", true },
        { "$${A}", false }, { "$_", true }, { "$$ $a", true }, { "$ ${x}", true }, { "a$ b", false },
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(texts); i++)
        if (interpolate_has_variable(texts[i].text) != texts[i].has)
            fail_msg("%s", texts[i].text);
}

static void test_stated_name(void **state _unused_)
{
    static const struct {
        const char *text, *name;
    } files[] = {
        { "name: shop\nservices: {}\n", "shop" },
        { "name: ${STACK:-shop}\n", "shop" },
        { "name: \"a-${B-b}\"\n", "a-b" },
        { "name: ${STACK}\n", NULL }, /* the box knows it, we do not */
        { "name: ${STACK:?which}\n", NULL },
        { "name: ''\n", NULL },
        { "name:\n", NULL },
        { "name: [a]\n", NULL },
        { "services: {name: {image: x}}\n", NULL },
        { "- name\n", NULL },
        { "name: a\nname: b\n", NULL }, /* what does not parse is said by others */
    };

    for (size_t i = 0; i < ELEMENTSOF(files); i++) {
        _cleanup_(freep) char *name = NULL;

        assert_int_equal(compose_stated_name_of(files[i].text, strlen(files[i].text), &name), 0);
        if (!str_equal(name, files[i].name))
            fail_msg("%s: %s", files[i].text, name ? name : "none");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grammar),      cmocka_unit_test(test_depth),         cmocka_unit_test(test_length),
        cmocka_unit_test(test_name_length),  cmocka_unit_test(test_not_evaluated), cmocka_unit_test(test_on_unset),
        cmocka_unit_test(test_has_variable), cmocka_unit_test(test_stated_name),
    };

    return cmocka_run_group_tests_name("interpolate", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* Which project a push is about. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "compose/project-choice.h"
#include "lib/base/strv.h"

static void test_choices(void **state)
{
    static const struct {
        ProjectFacts facts;
        ProjectVerdict choice;
    } table[] = {
        { { NULL, NULL, false, false }, PROJECT_CHOICE_OWN },
        { { NULL, "secbox", false, true }, PROJECT_CHOICE_OWN },
        { { NULL, "secbox", true, true }, PROJECT_CHOICE_OWN },
        { { NULL, "shop", false, false }, PROJECT_CHOICE_BY_FILE },
        { { NULL, "shop", true, false }, PROJECT_CHOICE_BY_FILE },
        { { NULL, "shop", false, true }, PROJECT_CHOICE_STAYS },
        { { NULL, "shop", true, true }, PROJECT_CHOICE_UNCLEAR },
        { { "secbox", "shop", true, true }, PROJECT_CHOICE_SAID },
        { { "secbox", "shop", false, false }, PROJECT_CHOICE_SAID },
        { { "blog", "shop", false, true }, PROJECT_CHOICE_SAID },
        { { "blog", NULL, false, false }, PROJECT_CHOICE_SAID },
    };

    (void) state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        assert_int_equal(project_choose(&table[i].facts), table[i].choice);
}

#define SERVICES "services:\n  web:\n    image: example.org/web:1\n"

static char *name_of(const char *text)
{
    char *name = NULL;
    Error err = {};

    assert_int_equal(project_file_name(text, strlen(text), "compose.yaml", &name, &err), 0);
    error_done(&err);
    return name;
}

static void test_names(void **state)
{
    static const struct {
        const char *text, *name;
    } table[] = {
        { SERVICES, NULL },
        { "name: ''\n" SERVICES, NULL },
        { "name: shop\n" SERVICES, "shop" },
        { "name: \"shop-2\"\n" SERVICES, "shop-2" },
        { "name: ${X:-foo}\n" SERVICES, "foo" },
        { "name: ${X-foo}_${Y:-1}\n" SERVICES, "foo_1" },
        { "name: secbox\n" SERVICES, "secbox" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        _cleanup_(freep) char *name = name_of(table[i].text);

        if (table[i].name)
            assert_string_equal(name, table[i].name);
        else
            assert_null(name);
    }
}

static void test_names_that_are_none(void **state)
{
    static const char *const texts[] = {
        SERVICES "name: My Shop\n", SERVICES "name: ../x\n",         SERVICES "name: ${X}\n",
        SERVICES "name: -a\n",      SERVICES "name: ${X:?say it}\n", SERVICES "name: ${X:-A}\n",
    };

    (void) state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        char *name = NULL;
        Error err = {};

        assert_int_equal(project_file_name(texts[i], strlen(texts[i]), "compose.yaml", &name, &err), -EINVAL);
        assert_string_equal(error_id(&err), "project.bad-name");
        assert_string_equal(err.file, "compose.yaml");
        assert_int_equal(err.line, 4);
        assert_non_null(strstr(error_message(&err, -EINVAL), "--project"));
        assert_null(name);
        error_done(&err);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_choices),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_names_that_are_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

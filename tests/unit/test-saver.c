/* SPDX-License-Identifier: MIT */
/* Files written by a child, which is this program. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "lib/base/fileio.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/event/saver.h"
#include "lib/event/daemon.h"
#include "tests/unit/emulated.h"

static char folder[] = "/tmp/test-saver-XXXXXX";

typedef struct Told {
    sd_event *event;
    unsigned left;
    char *story; /* "+" written, "-" not, in the order of the calls */
} Told;

static void tell(Told *t, char what)
{
    char *longer = str_format("%s%c", t->story ? t->story : "", what);

    free(t->story);
    t->story = longer;
    if (--t->left == 0)
        (void) sd_event_exit(t->event, 0);
}

static void on_done(bool written, void *userdata)
{
    tell(userdata, written ? '+' : '-');
}

static char *inside(const char *name)
{
    return path_join(folder, name);
}

static void check_file(const char *name, const char *wanted)
{
    _cleanup_(freep) char *path = inside(name), *text = NULL;
    struct stat st;

    assert_int_equal(file_read(path, 4 << 20, &text, NULL, NULL), 0);
    assert_string_equal(text, wanted);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void test_in_order(void **state)
{
    _cleanup_(freep) char *a = inside("a"), *b = inside("b"), *nowhere = inside("no/folder"),
                          *large = calloc(1, 1 << 20);
    Told told = { .left = 5 };
    Saver *s = NULL;

    (void) state;
    skip_if_emulated("have the kernel start it again");
    memset(large, 'x', (1 << 20) - 1);
    assert_int_equal(service_loop_new(&told.event, NULL), 0);
    assert_int_equal(saver_new(told.event, "/proc/self/exe", &s, NULL), 0);
    assert_int_equal(saver_write(s, a, "first", on_done, &told), 0);
    assert_int_equal(saver_write(s, nowhere, "nothing", on_done, &told), 0);
    assert_int_equal(saver_write(s, a, "second", on_done, &told), 0);
    assert_int_equal(saver_write(s, b, large, on_done, &told), 0);
    assert_int_equal(saver_write(s, b, "", on_done, &told), 0);
    assert_int_equal(saver_write(s, a, "third", NULL, NULL), 0);
    assert_int_equal(saver_write(s, a, "one too many", on_done, &told), -ENOBUFS);
    assert_int_equal(sd_event_loop(told.event), 0);
    assert_string_equal(told.story, "+-+++");
    check_file("b", "");
    saver_free(s); /* the last one may be lost, and nobody is told */
    free(told.story);
    sd_event_unref(told.event);
}

static void test_no_program(void **state)
{
    _cleanup_(freep) char *a = inside("c");
    Told told = { .left = 2 };
    Saver *s = NULL;

    (void) state;
    assert_int_equal(service_loop_new(&told.event, NULL), 0);
    assert_int_equal(saver_new(told.event, "/nonexistent/program", &s, NULL), 0);
    assert_int_equal(saver_write(s, a, "x", on_done, &told), 0);
    assert_int_equal(saver_write(s, a, "y", on_done, &told), 0);
    assert_null(told.story); /* never from inside the call */
    assert_int_equal(sd_event_loop(told.event), 0);
    assert_string_equal(told.story, "--");
    saver_free(s);
    free(told.story);
    sd_event_unref(told.event);
}

static int setup(void **state)
{
    (void) state;
    return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state)
{
    (void) state;
    return dir_remove(folder, NULL);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_in_order), cmocka_unit_test(test_no_program) };

    if (argc == 3 && str_equal(argv[1], "--save"))
        return saver_run(argv[2]);
    return cmocka_run_group_tests(tests, setup, teardown);
}

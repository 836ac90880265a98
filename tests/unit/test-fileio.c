/* SPDX-License-Identifier: MIT */
/* A file is replaced whole or not at all, whatever the calls for it come to; only what is on disk counts as written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/base/fileio.h"
#include "lib/base/mem.h"
#include "lib/base/strv.h"

/* what the calls below do: every second one is interrupted, and the others do one byte; from number `failing` on all fail */
static bool is_hasty;
static unsigned failing, calls, reason;

static bool fails(void)
{
    if (failing == 0 || ++calls < failing)
        return false;
    errno = (int) reason;
    return true;
}

/* How much of it is done, or -1. */
static ssize_t part(size_t len)
{
    static unsigned n;

    if (!is_hasty || len == 0)
        return (ssize_t) len;
    if (n++ % 2 == 0) {
        errno = EINTR;
        return -1;
    }
    return 1;
}

ssize_t write(int fd, const void *data, size_t len)
{
    ssize_t n = fails() ? -1 : part(len);

    return n < 0 ? -1 : (ssize_t) syscall(SYS_write, fd, data, (size_t) n);
}

ssize_t read(int fd, void *data, size_t len)
{
    ssize_t n = part(len);

    return n < 0 ? -1 : (ssize_t) syscall(SYS_read, fd, data, (size_t) n);
}

int fsync(int fd)
{
    return fails() ? -1 : (int) syscall(SYS_fsync, fd);
}

int rename(const char *from, const char *to)
{
    return fails() ? -1 : (int) syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

static char folder[] = "/tmp/test-fileio-XXXXXX";

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

static int put(const char *path, const char *text, Error *err)
{
    return file_write_atomic(path, text, strlen(text), 0600, (uid_t) -1, (gid_t) -1, err);
}

static void assert_holds(const char *path, const char *expected)
{
    _cleanup_(freep) char *text = NULL;

    assert_int_equal(file_read(path, 1 << 20, &text, NULL, NULL), 0);
    assert_string_equal(text, expected);
}

static void test_f55_calls_that_are_interrupted_or_short(void **state)
{
    _cleanup_(freep) char *path = str_format("%s/a", folder), *large = malloc(20001);

    (void) state;
    memset(large, 'x', 20000);
    large[20000] = '\0';
    is_hasty = true;
    assert_int_equal(put(path, large, NULL), 0);
    assert_holds(path, large);
    is_hasty = false;
    assert_holds(path, large);
}

/* As of a disk that is full or broken, for good; and as of a file system that has become read-only. */
static void test_f54_each_call_that_fails_leaves_what_was_there(void **state)
{
    static const unsigned reasons[] = { EIO, ENOSPC, EROFS };
    _cleanup_(freep) char *path = str_format("%s/b", folder);
    unsigned failed = 0;

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(reasons); i++) {
        bool done = false;

        for (unsigned number = 1; !done; number++) {
            _cleanup_(error_done) Error err = {};
            int r;

            assert_int_equal(put(path, "old", NULL), 0);
            failing = number;
            calls = 0;
            reason = reasons[i];
            r = put(path, "new", &err);
            done = calls < number;
            failing = 0;
            if (done)
                assert_int_equal(r, 0);
            else {
                assert_int_equal(r, -(int) reasons[i]);
                assert_string_equal(error_id(&err), "file.write");
                failed++;
                /* it has its name only once its content is on disk; a folder that is not synced may have either name */
                _cleanup_(freep) char *text = NULL;
                assert_int_equal(file_read(path, 16, &text, NULL, NULL), 0);
                assert_true(str_equal(text, "old") || str_equal(text, "new"));
                assert_true(str_equal(text, "old") || number == 4);
            }
        }
    }
    assert_int_equal(failed, 4 * ELEMENTSOF(reasons)); /* write, fsync, rename, fsync of the folder */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_f55_calls_that_are_interrupted_or_short),
        cmocka_unit_test(test_f54_each_call_that_fails_leaves_what_was_there),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}

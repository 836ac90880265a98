/* SPDX-License-Identifier: MIT */
/* Files that arrive piece by piece, written by a child, which is this program. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/fileio.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/base/tmp-sweep.h"
#include "lib/data/digest.h"
#include "lib/event/daemon.h"
#include "gateway/deployments/bundle-writer.h"
#include "tests/unit/emulated.h"

#define PIECE ((size_t) 64 * 1024)
#define PIECES 100 /* more than a socket holds */

static char folder[] = "/tmp/test-gateway-bundle-writer-XXXXXX";

typedef struct Told {
    sd_event *event;
    BundleWriter *saver;
    const char *content;
    size_t put, pauses;
    BundleWriterResult how;
} Told;

static void put_more(void *userdata)
{
    Told *t = userdata;

    while (t->put < PIECES * PIECE) {
        int r = bundle_writer_put(t->saver, t->content + t->put, PIECE);

        assert_true(r >= 0);
        t->put += PIECE;
        if (r == 0) {
            t->pauses++;
            return;
        }
    }
    bundle_writer_end(t->saver);
}

static void on_done(BundleWriterResult how, void *userdata)
{
    Told *t = userdata;

    t->how = how;
    t->saver = bundle_writer_free(t->saver);
    (void) sd_event_exit(t->event, 0);
}

static const BundleWriterEvents events = { put_more, on_done };

static char *path_for(const char *content, size_t len)
{
    char hex[SHA256_HEX_SIZE];

    assert_int_equal(sha256_hex(content, len, hex), 0);
    return path_join(folder, hex);
}

static char *make_content(void)
{
    char *content = malloc(PIECES * PIECE);

    for (size_t i = 0; i < PIECES * PIECE; i++)
        content[i] = (char) (i * 2654435761U >> 13);
    return content;
}

static BundleWriterResult save(const char *path, const char *content, size_t *ret_pauses)
{
    Told t = { .content = content };

    assert_int_equal(service_loop_new(&t.event, NULL), 0);
    assert_int_equal(bundle_writer_new(t.event, "/proc/self/exe", path, &events, &t, &t.saver, NULL), 0);
    put_more(&t);
    assert_int_equal(sd_event_loop(t.event), 0);
    sd_event_unref(t.event);
    *ret_pauses = t.pauses;
    return t.how;
}

static void what_comes_whole_is_kept(void **state)
{
    _cleanup_(freep) char *content = make_content(), *path = path_for(content, PIECES * PIECE), *found = NULL;
    size_t pauses = 0, len = 0;
    struct stat st;

    (void) state;
    skip_if_emulated("have the kernel start it again");
    assert_int_equal(save(path, content, &pauses), BUNDLE_KEPT);
    assert_true(pauses > 0); /* it is not all in memory */
    assert_int_equal(file_read(path, PIECES * PIECE, &found, &len, NULL), 0);
    assert_int_equal(len, PIECES * PIECE);
    assert_memory_equal(found, content, len);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(save(path, content, &pauses), BUNDLE_KEPT);
    assert_int_equal(tmp_sweep(folder, false), 0);
}

static void what_is_another_is_not(void **state)
{
    _cleanup_(freep) char *content = make_content(), *path = path_for("x", 1),
                          *nowhere = path_join("/nowhere", path + 1);
    size_t pauses = 0;

    (void) state;
    skip_if_emulated("have the kernel start it again");
    assert_int_equal(save(path, content, &pauses), BUNDLE_OTHER);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(tmp_sweep(folder, false), 0); /* the child has removed it */
    assert_int_equal(save(nowhere, content, &pauses), BUNDLE_NOT_KEPT);
}

static void what_is_broken_off_is_not(void **state)
{
    _cleanup_(freep) char *content = make_content(), *path = path_for(content, PIECES * PIECE);
    Told t = { .content = content };

    (void) state;
    assert_int_equal(service_loop_new(&t.event, NULL), 0);
    assert_int_equal(bundle_writer_new(t.event, "/proc/self/exe", path, &events, &t, &t.saver, NULL), 0);
    assert_true(bundle_writer_put(t.saver, content, PIECE) >= 0);
    bundle_writer_free(t.saver);
    sd_event_unref(t.event);
    assert_int_equal(access(path, F_OK), -1);
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
    const struct CMUnitTest tests[] = { cmocka_unit_test(what_is_broken_off_is_not),
                                        cmocka_unit_test(what_comes_whole_is_kept),
                                        cmocka_unit_test(what_is_another_is_not) };

    if (argc == 3 && str_equal(argv[1], "--write-bundle"))
        return bundle_writer_run(argv[2]);
    return cmocka_run_group_tests(tests, setup, teardown);
}

/* SPDX-License-Identifier: MIT */
/* Real files, changed in every way in which people and tools change them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fileio.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/data/config-fault.h"
#include "lib/data/json.h"
#include "lib/event/config-watch.h"
#include "lib/event/daemon.h"

typedef struct Seen {
    sd_event *event;
    ConfigWatch *watch;
    char *folder, *path;
    unsigned changes;
    void (*then)(struct Seen *s); /* from the loop */
} Seen;

static void on_change(void *userdata)
{
    Seen *s = userdata;

    s->changes++;
    (void) sd_event_exit(s->event, 0);
}

static void put(const char *path, const char *text)
{
    assert_int_equal(file_write_atomic(path, text, strlen(text), 0600, (uid_t) -1, (gid_t) -1, NULL), 0);
}

static int setup(void **state)
{
    Seen *s = calloc(1, sizeof(*s));
    char folder[] = "/tmp/test-config-watch-XXXXXX";

    assert_non_null(s);
    assert_non_null(mkdtemp(folder));
    s->folder = strdup(folder);
    s->path = path_join(folder, "program.env");
    put(s->path, "A=1\n");
    assert_int_equal(service_loop_new(&s->event, NULL), 0);
    assert_int_equal(config_watch_new(s->event, on_change, s, &s->watch, NULL), 0);
    assert_int_equal(config_watch_set(s->watch, (const char *const[]) { s->path, NULL }), 0);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    Seen *s = *state;
    _cleanup_(freep) char *other = path_join(s->folder, "other");

    config_watch_free(s->watch);
    sd_event_unref(s->event);
    (void) unlink(s->path);
    (void) unlink(other);
    (void) rmdir(s->folder);
    free(s->path);
    free(s->folder);
    free(s);
    return 0;
}

static int do_then(sd_event_source *source, uint64_t usec, void *userdata)
{
    Seen *s = userdata;

    (void) source;
    (void) usec;
    s->then(s);
    return 0;
}

static void replace(Seen *s)
{
    put(s->path, "A=2\n");
}

static void write_in_place(Seen *s)
{
    FILE *f = fopen(s->path, "w");

    assert_non_null(f);
    assert_true(fputs("A=3\n", f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void change_mode(Seen *s)
{
    assert_int_equal(chmod(s->path, 0644), 0);
}

static void remove_it(Seen *s)
{
    assert_int_equal(unlink(s->path), 0);
}

static void run_until_change(Seen *s, void (*then)(Seen *s))
{
    sd_event_source *timer = NULL;
    _cleanup_(sd_event_unrefp) sd_event *old = NULL;

    s->then = then;
    /* a loop that was told to end does not run again */
    old = s->event;
    assert_int_equal(sd_event_new(&s->event), 0);
    config_watch_free(s->watch);
    assert_int_equal(config_watch_new(s->event, on_change, s, &s->watch, NULL), 0);
    assert_int_equal(config_watch_set(s->watch, (const char *const[]) { s->path, NULL }), 0);
    assert_int_equal(timer_arm(s->event, &timer, 0, do_then, s), 0);
    assert_int_equal(sd_event_loop(s->event), 0);
    sd_event_source_disable_unref(timer);
}

static void test_every_kind_of_change_is_told_once(void **state)
{
    Seen *s = *state;
    void (*const ways[])(Seen *) = { replace, write_in_place, change_mode, remove_it, replace };

    for (unsigned i = 0; i < ELEMENTSOF(ways); i++) {
        run_until_change(s, ways[i]);
        assert_int_equal(s->changes, i + 1);
    }
}

static void link_away(Seen *s)
{
    _cleanup_(freep) char *other = path_join(s->folder, "other");

    put(other, "A=4\n");
    assert_int_equal(unlink(s->path), 0);
    assert_int_equal(symlink("other", s->path), 0);
}

static void test_a_link_in_its_place(void **state)
{
    Seen *s = *state;

    run_until_change(s, link_away);
    assert_int_equal(s->changes, 1);
}

/* Which file is named is known only after reading the first one. */
static void test_a_file_that_is_named_again_keeps_its_look(void **state)
{
    Seen *s = *state;
    _cleanup_(freep) char *other = path_join(s->folder, "other");

    put(s->path, "A=5\n"); /* between reading it and naming the other */
    assert_int_equal(config_watch_set(s->watch, (const char *const[]) { s->path, other, NULL }), 0);
    put(other, "x");
    assert_int_equal(sd_event_loop(s->event), 0);
    assert_int_equal(s->changes, 1);
}

static int end_quietly(sd_event_source *source, uint64_t usec, void *userdata)
{
    Seen *s = userdata;

    (void) source;
    (void) usec;
    return sd_event_exit(s->event, 7);
}

static void test_a_neighbour_is_nobody(void **state)
{
    Seen *s = *state;
    _cleanup_(freep) char *other = path_join(s->folder, "other");
    sd_event_source *timer = NULL;

    put(other, "x");
    assert_int_equal(timer_arm(s->event, &timer, 1500 * USEC_PER_MSEC, end_quietly, s), 0);
    assert_int_equal(sd_event_loop(s->event), 7);
    assert_int_equal(s->changes, 0);
    sd_event_source_disable_unref(timer);
}

static void test_a_fault_in_a_file(void **state)
{
    Seen *s = *state;
    _cleanup_(freep) char *path = path_join(s->folder, "other"), *text = NULL, *again = NULL;
    _cleanup_(error_done) Error err = {};
    int r = error_set(&err, EACCES, "config.value", "/etc/ca.pem cannot be read");

    assert_null(config_fault_read(path, "x"));
    assert_int_equal(config_fault_tell(path, "recovery-agent", &err, r), 0);
    _cleanup_(cJSON_Deletep) cJSON *fault = config_fault_read(path, "recovery-agent");
    assert_string_equal(json_string(fault, "program"), "recovery-agent");
    assert_non_null(json_string(fault, "since"));
    const cJSON *error = cJSON_GetObjectItemCaseSensitive(fault, "error");
    assert_string_equal(json_string(error, "message"), "/etc/ca.pem cannot be read");
    assert_int_equal(file_read(path, 4096, &text, NULL, NULL), 0);
    assert_int_equal(config_fault_tell(path, "recovery-agent", &err, r), 0);
    assert_int_equal(file_read(path, 4096, &again, NULL, NULL), 0);
    assert_string_equal(text, again);
    assert_int_equal(config_fault_tell(path, "recovery-agent", NULL, 0), 0);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(config_fault_tell(path, "recovery-agent", NULL, 0), 0);
}

static void test_a_fault_that_a_container_wrote(void **state)
{
    Seen *s = *state;
    _cleanup_(freep) char *path = path_join(s->folder, "other");

    put(path, "{\"program\":\"root\",\"since\":7,\"error\":{\"message\":\"a\\u001b[31mb\",\"more\":{}}}");
    _cleanup_(cJSON_Deletep) cJSON *fault = config_fault_read(path, "secbox");
    const cJSON *error = cJSON_GetObjectItemCaseSensitive(fault, "error");
    assert_string_equal(json_string(fault, "program"), "secbox");
    assert_null(strchr(json_string(error, "message"), 033));
    assert_int_equal(cJSON_GetArraySize(error), 1);
    put(path, "[]");
    assert_null(config_fault_read(path, "secbox"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_every_kind_of_change_is_told_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_link_in_its_place, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_file_that_is_named_again_keeps_its_look, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_neighbour_is_nobody, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_fault_in_a_file, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_fault_that_a_container_wrote, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

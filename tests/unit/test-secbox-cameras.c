/* SPDX-License-Identifier: MIT */
/* Pictures out of multipart bodies, which cameras Frigate has, and the bound of the uplink. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "lib/base/strv.h"
#include "lib/base/uplink-budget.h"
#include "lib/data/json.h"
#include "secbox/cameras/camera-list.h"
#include "secbox/cameras/camera-streams.h"
#include "secbox/cameras/frigate.h"
#include "secbox/cameras/multipart.h"

#define PICTURE_MAX ((size_t) 64)
#define HEAD "Content-Type: image/jpeg\r\n\r\n"
#define A                                                                                                              \
    "\xff\xd8"                                                                                                         \
    "aaaa"                                                                                                             \
    "\xff\xd9"
#define B                                                                                                              \
    "\xff\xd8"                                                                                                         \
    "b\r\n--fram\r\n"                                                                                                  \
    "\xff\xd9"

/* What comes is written as its letters, one picture in each pair of brackets. */
static void on_picture(const uint8_t *data, size_t len, void *userdata)
{
    assert_true(len >= 4 && data[0] == 0xff && data[len - 1] == 0xd9);
    assert_int_equal(buf_printf(userdata, "[%.1s%zu]", (const char *) data + 2, len), 0);
}

/* The same whatever the pieces in which it comes, but that a picture may be told early. */
static char *split(const char *body, size_t len, size_t piece, const char **ret_error, unsigned *ret_bad)
{
    _cleanup_(error_done) Error err = {};
    Buf out = BUF_INIT(4096);
    Multipart m;
    int r = 0;

    assert_int_equal(buf_puts(&out, ""), 0);
    multipart_init(&m, PICTURE_MAX, on_picture, &out);
    for (size_t at = 0; at < len && r >= 0; at += piece)
        r = multipart_feed(&m, body + at, len - at < piece ? len - at : piece, &err);
    *ret_error = r < 0 ? err.id : NULL;
    *ret_bad = m.bad;
    multipart_done(&m);
    return buf_take(&out);
}

static void test_pictures(void **state)
{
    (void) state;
#define CASE(text) (text), sizeof(text) - 1
    static const struct {
        const char *body;
        size_t len;
        const char *pictures, *error;
        unsigned bad;
    } cases[] = {
        { CASE(""), "", NULL, 0 },
        { CASE("--frame\r\n" HEAD A "\r\n\r\n--frame\r\n" HEAD B "\r\n\r\n--frame\r\n"), "[a8][b15]", NULL, 0 },
        /* the next boundary has not come */
        { CASE("--frame\r\n" HEAD A "\r\n\r\n"), "[a8]", NULL, 0 },
        { CASE("--frame\r\n" HEAD A), "", NULL, 0 },
        { CASE("--x\r\n" HEAD A "\r\n--x\r\n" HEAD A "\r\n"), "[a8][a8]", NULL, 0 },
        /* what is no picture is passed over */
        { CASE("--frame\r\n" HEAD "<html>\r\n\r\n--frame\r\n" HEAD A "\r\n\r\n--frame"), "[a8]", NULL, 1 },
        { CASE("--frame\r\n" HEAD "\r\n--frame\r\n" HEAD A "\r\n--frame"), "[a8]", NULL, 1 },
        { CASE("--frame\r\n" HEAD A "\r\n--frame--"), "[a8]", "camera.multipart", 0 },
        { CASE("{\"success\": false}"), "", "camera.multipart", 0 },
        { CASE("--\r\n" HEAD A), "", "camera.multipart", 0 },
        { CASE("--frame\r\nContent-Type: image/jpeg" A "\r\n\r\n"), "", NULL, 0 },
    };
    for (size_t i = 0; i < ELEMENTSOF(cases); i++)
        for (size_t piece = 1; piece <= cases[i].len + 1; piece++) {
            const char *error;
            unsigned bad;
            _cleanup_(freep) char *pictures = split(cases[i].body, cases[i].len, piece, &error, &bad);
            assert_string_equal(pictures, cases[i].pictures);
            assert_true(str_equal(error, cases[i].error));
            assert_int_equal(bad, cases[i].bad);
        }
}

/* A thumbnail within a picture ends like one, and whole pieces may end there: the whole picture follows. */
static void test_a_picture_told_too_early(void **state)
{
    (void) state;
    static const char head[] = "--f\r\n" HEAD "\xff\xd8"
                               "a"
                               "\xff\xd9"
                               "\r\n";
    static const char rest[] = "more"
                               "\xff\xd9"
                               "\r\n--f\r\n";
    _cleanup_(buf_done) Buf out = BUF_INIT(256);
    Multipart m;

    multipart_init(&m, PICTURE_MAX, on_picture, &out);
    assert_int_equal(multipart_feed(&m, head, sizeof(head) - 1, NULL), 0);
    assert_string_equal(out.data, "[a5]");
    assert_int_equal(multipart_feed(&m, rest, sizeof(rest) - 1, NULL), 0);
    assert_string_equal(out.data, "[a5][a13]");
    multipart_done(&m);
}

/* Where the boundary is another one from some picture on, not all that follows is taken for that picture. */
static void test_another_boundary(void **state)
{
    (void) state;
    static const char first[] = "--f\r\n" HEAD A "\r\n", next[] = "--g\r\n" HEAD A "\r\n";
    _cleanup_(buf_done) Buf out = BUF_INIT(256);
    _cleanup_(error_done) Error err = {};
    Multipart m;
    int r;

    multipart_init(&m, (size_t) 1024 * 1024, on_picture, &out);
    r = multipart_feed(&m, first, sizeof(first) - 1, &err);
    for (int i = 0; i < 5 && r >= 0; i++)
        r = multipart_feed(&m, next, sizeof(next) - 1, &err);
    assert_true(r < 0);
    assert_string_equal(err.id, "camera.multipart");
    multipart_done(&m);
}

static void test_bounds(void **state)
{
    (void) state;
    char line[MULTIPART_BOUNDARY_MAX + 8], many[2 * MULTIPART_HEAD_MAX];
    const char *error;
    unsigned bad;

    memset(line, '-', sizeof(line));
    free(split(line, sizeof(line), 1, &error, &bad));
    assert_string_equal(error, "camera.multipart");
    memset(many, 'x', sizeof(many));
    memcpy(many, "--f\r\n", 5);
    free(split(many, sizeof(many), sizeof(many), &error, &bad));
    assert_string_equal(error, "camera.multipart");
    /* a picture that does not end */
    memset(many, 'x', sizeof(many));
    memcpy(many, "--f\r\n" HEAD, strlen("--f\r\n" HEAD));
    free(split(many, sizeof(many), 100, &error, &bad));
    assert_string_equal(error, "camera.too-large");
}

static void assert_list(const CameraList *l, const char *expected)
{
    _cleanup_(cJSON_Deletep) cJSON *o = camera_list_describe(l);
    _cleanup_(freep) char *text = json_print(o);
    assert_string_equal(text, expected);
}

static int config(CameraList *l, const char *text)
{
    return camera_list_take_config(l, text, strlen(text), NULL);
}

static int stats(CameraList *l, const char *text)
{
    return camera_list_take_stats(l, text, strlen(text), NULL);
}

static void test_cameras(void **state)
{
    (void) state;
    _cleanup_(camera_list_done) CameraList l = {};
    static const char two[] =
        "{\"cameras\":{\"a\":{\"enabled\":true},\"b-1\":{\"enabled\":false},\"../x\":{},\"\":{}}}";

    assert_int_equal(config(&l, two), 1);
    assert_int_equal(config(&l, two), 0);
    assert_list(&l, "[{\"name\":\"a\",\"state\":\"online\"},{\"name\":\"b-1\",\"state\":\"off\"}]");
    assert_int_equal(stats(&l, "{\"cameras\":{\"a\":{\"camera_fps\":0.0}},\"service\":{\"uptime\":50}}"), 1);
    assert_list(&l, "[{\"name\":\"a\",\"state\":\"offline\"},{\"name\":\"b-1\",\"state\":\"off\"}]");
    assert_int_equal(config(&l, two), 0);
    assert_int_equal(stats(&l, "{\"cameras\":{\"a\":{\"camera_fps\":0}},\"service\":{\"uptime\":60}}"), 0);
    assert_int_equal(l.restarts, 0);
    assert_int_equal(stats(&l, "{\"cameras\":{\"a\":{\"camera_fps\":5.1}},\"service\":{\"uptime\":3}}"), 1);
    assert_int_equal(l.restarts, 1);
    assert_true(camera_list_set_offline(&l, "a") && !camera_list_set_offline(&l, "a") &&
                !camera_list_set_offline(&l, "z"));
    assert_true(camera_list_is_offline(&l, "a") && !camera_list_is_offline(&l, "z"));
    assert_true(config(&l, "{}") < 0 && config(&l, "<html>") < 0 && config(&l, "{\"cameras\":[]}") < 0 &&
                stats(&l, "[") < 0);
    assert_int_equal(l.n, 2);
    assert_int_equal(config(&l, "{\"cameras\":{}}"), 1);
    assert_list(&l, "[]");
}

static void assert_refused(const CameraList *l, const char *name, const char *id)
{
    _cleanup_(error_done) Error err = {};
    assert_true(camera_list_check(l, name, &err) < 0);
    assert_string_equal(err.id, id);
}

static void test_names(void **state)
{
    (void) state;
    _cleanup_(camera_list_done) CameraList l = {};
    char name[CAMERA_NAME_MAX + 2] = "";

    assert_int_equal(config(&l, "{\"cameras\":{\"a\":{},\"b\":{\"enabled\":false}}}"), 1);
    assert_int_equal(camera_list_check(&l, "a", NULL), 0);
    assert_refused(&l, "b", "camera.off");
    assert_refused(&l, NULL, "camera.unknown");
    assert_refused(&l, "a/../config", "camera.unknown");
    assert_false(camera_name_is_valid("") || camera_name_is_valid("a/b") || camera_name_is_valid("a%2f") ||
                 camera_name_is_valid("..") || camera_name_is_valid("a b") || camera_name_is_valid("a?x") ||
                 camera_name_is_valid("caf\xc3\xa9"));
    memset(name, 'a', CAMERA_NAME_MAX);
    assert_true(camera_name_is_valid(name));
    name[CAMERA_NAME_MAX] = 'a';
    assert_false(camera_name_is_valid(name));
}

static void test_files_of_recordings(void **state)
{
    (void) state;
    static const char *const good[] = { "master.m3u8", "index-v1.m3u8", "init-v1.mp4", "seg-1-v1-a1.m4s", "seg-1.ts" };
    static const char *const bad[] = { "",           ".m3u8",    "master",   "../config.m4s", "a/b.m4s",
                                       "a.m3u8.mp4", "a%2e.mp4", "clip.MP4", "a.mp4?x",       "config.json",
                                       "a.m4s\n",    "a b.mp4",  "seg.m4s#", "\xc3\xa9.mp4",  NULL };

    for (size_t i = 0; i < ELEMENTSOF(good); i++)
        assert_true(recording_file_is_valid(good[i]));
    for (size_t i = 0; i < ELEMENTSOF(bad); i++)
        assert_false(recording_file_is_valid(bad[i]));
    assert_true(recording_file_is_playlist(good[0]) && !recording_file_is_playlist(good[2]));
}

static void test_ranges(void **state)
{
    (void) state;
    static const char *const good[] = { "bytes=0-0", "bytes=100-", "bytes=-500", "bytes=999999999999999999-" };
    static const char *const bad[] = { NULL,
                                       "",
                                       "bytes=-",
                                       "bytes=0-1,4-5",
                                       "bytes=a-",
                                       "items=0-1",
                                       "bytes=0-1 ",
                                       "bytes=1",
                                       "bytes=0--1",
                                       "bytes=0-1\r\nX: y",
                                       "bytes=9999999999999999999-" };

    for (size_t i = 0; i < ELEMENTSOF(good); i++)
        assert_true(range_is_plain(good[i]));
    for (size_t i = 0; i < ELEMENTSOF(bad); i++)
        assert_false(range_is_plain(bad[i]));
}

static int on_data(const char *data, size_t len, void *userdata)
{
    (void) data;
    (void) len;
    (void) userdata;
    return 0;
}

/* What a viewer takes slowly may take long; what ffmpeg has to make first begins late. */
static void test_limits(void **state)
{
    (void) state;
    static const struct {
        FrigateKind what;
        bool streams;
        FrigateLimits limits;
    } cases[] = {
        { FRIGATE_CONFIG, false, { 10 * USEC_PER_SEC, 0 } },
        { FRIGATE_VOD, false, { 10 * USEC_PER_SEC, 0 } }, /* a playlist */
        { FRIGATE_STREAM, true, { USEC_PER_HOUR, 10 * USEC_PER_SEC } },
        { FRIGATE_VOD, true, { 6 * USEC_PER_HOUR, 10 * USEC_PER_SEC } },
        { FRIGATE_CLIP, true, { 6 * USEC_PER_HOUR, 45 * USEC_PER_SEC } },
        { FRIGATE_PREVIEW, true, { 6 * USEC_PER_HOUR, 45 * USEC_PER_SEC } },
        { FRIGATE_STRIP, false, { 10 * USEC_PER_SEC, 0 } },
        { FRIGATE_STRIP_PART, true, { 6 * USEC_PER_HOUR, 10 * USEC_PER_SEC } },
        { FRIGATE_EVENT_CLIP, true, { 6 * USEC_PER_HOUR, 45 * USEC_PER_SEC } },
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        const FrigateRequest get = { .what = cases[i].what, .on_data = cases[i].streams ? on_data : NULL };
        const FrigateLimits p = frigate_limits(&get);
        assert_int_equal(p.whole, cases[i].limits.whole);
        assert_int_equal(p.silence, cases[i].limits.silence);
    }
}

/* A second's worth at once, then what time brings; one picture may be larger than that, and is paid back. */
static void test_uplink(void **state)
{
    (void) state;
    usec_t now = 7 * USEC_PER_DAY;
    UplinkBudget b = uplink_budget_make(1000, now);

    assert_true(uplink_budget_take(&b, 400, now) && uplink_budget_take(&b, 5000, now));
    assert_false(uplink_budget_take(&b, 1, now));
    assert_false(uplink_budget_take(&b, 1, now + 4 * USEC_PER_SEC + 400 * USEC_PER_MSEC));
    assert_true(uplink_budget_take(&b, 1, now + 4 * USEC_PER_SEC + 401 * USEC_PER_MSEC));
    now += USEC_PER_DAY;
    assert_true(uplink_budget_take(&b, 1000, now));
    assert_false(uplink_budget_take(&b, 1, now));
}

/* What may not be passed over waits for its turn, behind those before it, and counts against all others. */
static void test_uplink_turns(void **state)
{
    (void) state;
    usec_t now = 7 * USEC_PER_DAY, patience = 10 * USEC_PER_SEC;
    UplinkBudget b = uplink_budget_make(1000, now);

    assert_true(uplink_budget_queue(&b, 5000, now, patience) == 0);
    assert_true(uplink_budget_queue(&b, 5000, now, patience) == 4001 * USEC_PER_MSEC);
    assert_true(uplink_budget_queue(&b, 3000, now, patience) == 9001 * USEC_PER_MSEC);
    assert_true(uplink_budget_queue(&b, 1, now, patience) == USEC_INFINITY);
    assert_false(uplink_budget_take(&b, 1, now + 12 * USEC_PER_SEC));
    assert_true(uplink_budget_take(&b, 1, now + 12 * USEC_PER_SEC + USEC_PER_MSEC));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pictures),
        cmocka_unit_test(test_a_picture_told_too_early),
        cmocka_unit_test(test_another_boundary),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_cameras),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_files_of_recordings),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_uplink),
        cmocka_unit_test(test_uplink_turns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

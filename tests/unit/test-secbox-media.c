/* SPDX-License-Identifier: MIT */
/* Recordings: which paths name one, what becomes of a playlist, and whose session it is. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "lib/base/strv.h"
#include "secbox/media/frigate-answer.h"
#include "secbox/media/media-path.h"
#include "secbox/media/media-sessions.h"
#include "secbox/media/playlist.h"
#include "secbox/media/strip.h"

#define NOW (7 * USEC_PER_DAY)

static void test_paths(void **state)
{
    (void) state;
    static const struct {
        const char *path;
        FrigateKind kind;
        const char *file, *type;
    } good[] = {
        { "/media/vod/entrada/100/200/master.m3u8", FRIGATE_VOD, "master.m3u8", "application/vnd.apple.mpegurl" },
        { "/media/vod/entrada/100/200/seg-1-v1.m4s", FRIGATE_VOD, "seg-1-v1.m4s", "video/iso.segment" },
        { "/media/clip/entrada/100/200/clip.mp4", FRIGATE_CLIP, "clip.mp4", "video/mp4" },
        { "/media/preview/entrada/100/200/preview.mp4", FRIGATE_PREVIEW, "preview.mp4", "video/mp4" },
        { "/media/preview/entrada/100/200/strip.json", FRIGATE_STRIP, "strip.json", "application/json" },
        { "/media/preview/entrada/100/200/frames.json", FRIGATE_FRAMES, "frames.json", "application/json" },
        { "/media/preview/entrada/100/200/100.0-260.0.mp4", FRIGATE_STRIP_PART, "100.0-260.0.mp4", "video/mp4" },
        { "/media/preview/entrada/100/200/200.0.webp", FRIGATE_STRIP_FRAME, "200.0.webp", "image/webp" },
    };
    static const char *const bad[] = {
        "/media/",
        "/media/vod/entrada/100/200",
        "/media/vod/entrada/100/200/",
        "/media/vod/entrada/100/200/a/master.m3u8",
        "/media/vod/entrada/100/200/../../config.mp4",
        "/media/vod/../100/200/master.m3u8",
        "/media/vod/en trada/100/200/master.m3u8",
        "/media/vod//100/200/master.m3u8",
        "/media/vod/entrada/200/100/master.m3u8",
        "/media/vod/entrada/100/100/master.m3u8",
        "/media/vod/entrada/100/86501/master.m3u8",
        "/media/vod/entrada/0100/200/master.m3u8",
        "/media/vod/entrada/-1/200/master.m3u8",
        "/media/vod/entrada/1.5/200/master.m3u8",
        "/media/vod/entrada/100/99999999999999999999999/master.m3u8",
        "/media/clip/entrada/100/200/master.m3u8",
        "/media/preview/entrada/100/200/clip.mp4",
        "/media/preview/entrada/100/200/99.9-150.0.mp4",
        "/media/preview/entrada/100/200/100.0-260.1.mp4",
        "/media/preview/entrada/100/200/150.0-140.0.mp4",
        "/media/preview/entrada/100/200/200.1.webp",
        "/media/preview/entrada/100/200/99.9.webp",
        "/media/preview/entrada/100/200/150.webp",
        "/media/preview/entrada/100/200/150..0.webp",
        "/media/preview/entrada/100/200/0150.0.webp",
        "/media/preview/entrada/100/200/150.0.webp.mp4",
        "/media/preview/entrada/100/200/150.0-160.0.webp",
        "/media/preview/entrada/100/200/1e2.0.webp",
        "/media/preview/entrada/100/200/150.0000000000000000000000000000000.webp",
        "/media/vod/entrada/100/200/strip.json",
        "/media/vod/entrada/100/200/150.0.webp",
        "/media/api/entrada/100/200/clip.mp4",
        "/media/VOD/entrada/100/200/master.m3u8",
        "/medial/vod/entrada/100/200/master.m3u8",
        "media/vod/entrada/100/200/master.m3u8",
        "",
    };
    MediaPath p;

    for (size_t i = 0; i < ELEMENTSOF(good); i++) {
        assert_true(media_path_parse(good[i].path, &p));
        assert_int_equal(p.kind, good[i].kind);
        assert_string_equal(p.camera, "entrada");
        assert_string_equal(p.file, good[i].file);
        assert_string_equal(p.type, good[i].type);
        assert_true(p.from == 100 && p.until == 200);
        assert_string_equal(good[i].path + p.folder_len, good[i].file);
    }
    for (size_t i = 0; i < ELEMENTSOF(bad); i++)
        assert_false(media_path_parse(bad[i], &p));
    assert_true(media_path_parse("/media/vod/entrada/100/86500/master.m3u8", &p)); /* a day */
}

#define EVENT "1700000000.123456-abc123"

static void test_events(void **state)
{
    (void) state;
    static const char *const bad[] = {
        "/media/event/",
        "/media/event/.mp4",
        "/media/event/" EVENT,
        "/media/event/" EVENT ".m3u8",
        "/media/event/" EVENT "/clip.mp4",
        "/media/event/../" EVENT ".mp4",
        "/media/event/1700000000.mp4",
        "/media/event/1700000000.1-a/../b.mp4",
        "/media/event/1700000000.1-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.mp4",
        "/media/events/" EVENT ".mp4"
    };
    static const char good[] = "/media/event/" EVENT ".mp4";
    MediaPath p;

    assert_true(media_path_parse(good, &p) && p.kind == FRIGATE_EVENT_CLIP);
    assert_string_equal(p.event, EVENT);
    assert_string_equal(p.type, "video/mp4");
    assert_string_equal(p.camera, "");
    assert_int_equal(p.folder_len, strlen(good)); /* a cookie for this one alone */
    for (size_t i = 0; i < ELEMENTSOF(bad); i++)
        assert_false(media_path_parse(bad[i], &p));
    assert_true(media_path_make_event("entrada", EVENT ".mp4", &p) && p.kind == FRIGATE_EVENT_CLIP);
    assert_string_equal(p.camera, "entrada");
    assert_string_equal(p.event, EVENT);
    assert_false(media_path_make_event("..", EVENT ".mp4", &p));
    assert_false(media_path_make_event("entrada", "clip.mp4", &p));
    assert_false(media_path_make_event("entrada", NULL, &p));
}

static void test_parts(void **state)
{
    (void) state;
    MediaPath p;

    assert_true(media_path_make("entrada", 100, 200, "master.m3u8", &p) && p.kind == FRIGATE_VOD);
    assert_string_equal(p.camera, "entrada");
    assert_true(media_path_make("entrada", 100, 200, "clip.mp4", &p) && p.kind == FRIGATE_CLIP);
    assert_true(media_path_make("entrada", 100, 200, "preview.mp4", &p) && p.kind == FRIGATE_PREVIEW);
    assert_string_equal(p.type, "video/mp4");
    assert_false(media_path_make("..", 100, 200, "clip.mp4", &p));
    assert_false(media_path_make(NULL, 100, 200, "clip.mp4", &p));
    assert_false(media_path_make("entrada", 200, 100, "clip.mp4", &p));
    assert_false(media_path_make("entrada", 100, 86501, "clip.mp4", &p));
    assert_false(media_path_make("entrada", UINT64_MAX - 1, UINT64_MAX, "clip.mp4", &p));
    assert_false(media_path_make("entrada", 100, 200, "../config.mp4", &p));
    assert_false(media_path_make("entrada", 100, 200, "", &p));
}

static char *rewritten(const char *path, const char *text)
{
    _cleanup_(buf_done) Buf out = BUF_INIT(PLAYLIST_SIZE_MAX);
    MediaPath p;

    assert_true(media_path_parse(path, &p) && media_path_is_text(&p));
    return media_text_rewrite(&p, text, strlen(text), &out, NULL) < 0 ? NULL : strdup(out.data);
}

/* What Frigate lists, in our own words: files of the camera and the window alone. */
static void test_strips(void **state)
{
    (void) state;
    static const char strip[] = "/media/preview/a-b/100/200/strip.json",
                      frames[] = "/media/preview/a-b/100/200/frames.json";
    static const char *const cases[][3] = {
        { strip, "[]", "{\"parts\":[]}" },
        { strip,
          "[{\"camera\":\"x\",\"src\":\"/clips/previews/a-b/100.5-200.25.mp4\"},{\"src\":\"/clips/previews/a-b/"
          "9.0-100.5.mp4\"},"
          "{\"src\":\"/clips/previews/a-c/100.5-200.25.mp4\"},{\"src\":\"/clips/previews/a-b/../x/"
          "1.mp4\"},{\"src\":3},4,{},"
          "{\"src\":\"/clips/previews/a-b/150.0.webp\"}]",
          "{\"parts\":[{\"file\":\"100.5-200.25.mp4\",\"from\":100.5,\"until\":200.25}]}" },
        { frames,
          "[\"preview_a-b-100.0.webp\",\"preview_a-150.0.webp\",\"preview_a-b-201.0.webp\",\"preview_a-b-c-150.0."
          "webp\",5,"
          "\"preview_a-b-150.0-160.0.mp4\",\"preview_a-b-200.0.webp\"]",
          "{\"frames\":[{\"file\":\"100.0.webp\",\"at\":100},{\"file\":\"200.0.webp\",\"at\":200}]}" },
        { frames, "{\"success\":false}", NULL },
        { strip, "[{", NULL },
        { frames, "", NULL },
        { "/media/vod/a-b/100/200/master.m3u8", "#EXTM3U\nx/a.m4s\n", "#EXTM3U\na.m4s\n" },
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(freep) char *said = rewritten(cases[i][0], cases[i][1]);
        assert_true(str_equal(said, cases[i][2]));
    }
}

static void assert_read(int status, const char *line, bool good, const char *range)
{
    char *headers[] = { (char *) line, NULL };
    const HttpResponse head = { .status = status, .headers = headers };
    FrigateAnswer a;

    assert_true(frigate_answer_read(&head, &a) == good);
    assert_string_equal(a.content_range, range);
}

static void test_answers(void **state)
{
    (void) state;
    static const struct {
        int status;
        const char *id;
    } cases[] = { { 0, "camera.frigate" }, { 404, "media.none" }, { 416, "media.range" }, { 500, "media.frigate" } };

    assert_read(200, "Accept-Ranges: bytes", true, "");
    assert_read(200, "Content-Range: bytes 0-9/10", true, "");
    assert_read(206, "Content-Range: bytes 0-9/10", true, "bytes 0-9/10");
    assert_read(206, "Content-Range: bytes 0-9/*", true, "bytes 0-9/*");
    assert_read(206, "Content-Range: bytes 0-9/10; x", false, "");
    assert_read(206, "Content-Range: lines 0-9/10", false, "");
    assert_read(206, NULL, false, "");
    assert_read(302, NULL, false, "");
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(error_done) Error err = {};
        assert_true(frigate_answer_judge(cases[i].status, -ECONNREFUSED, NULL, &err) < 0);
        assert_string_equal(err.id, cases[i].id);
    }
}

static void test_playlists(void **state)
{
    (void) state;
    static const struct {
        const char *in, *out; /* NULL: refused */
    } cases[] = {
        { "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nindex-v1.m3u8\n",
          "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nindex-v1.m3u8\n" },
        /* hosts, folders and queries go */
        { "#EXTM3U\r\n#EXT-X-MAP:URI=\"http://frigate:5000/vod/a/init-v1.mp4?t=x\",BYTERANGE=\"1@0\"\r\n"
          "#EXTINF:10.0,\r\nhttp://frigate:5000/vod/a/seg-1-v1.m4s?t=x#y\r\n#EXT-X-ENDLIST",
          "#EXTM3U\n#EXT-X-MAP:URI=\"init-v1.mp4\",BYTERANGE=\"1@0\"\n#EXTINF:10.0,\nseg-1-v1.m4s\n#EXT-X-ENDLIST\n" },
        { "#EXTM3U\n# a remark\n\n../../seg-1.ts\n", "#EXTM3U\nseg-1.ts\n" },
        { "#EXTM3U\n#EXT-X-MEDIA:URI=\"a.m3u8\",X-URI=\"b.m3u8\"\n",
          "#EXTM3U\n#EXT-X-MEDIA:URI=\"a.m3u8\",X-URI=\"b.m3u8\"\n" },
        { "#EXTM3U\n", "#EXTM3U\n" },
        { "#EXTM3U\r\r\n\r\n", "#EXTM3U\n" },
        { "", NULL },
        { "<html>", NULL },
        { " #EXTM3U\n", NULL },
        { "#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI=\"https://keys.example/key\"\n", NULL },
        { "#EXTM3U\n#EXT-X-MAP:URI=\"init.mp4\n", NULL },
        { "#EXTM3U\nfile:///etc/shadow\n", NULL },
        { "#EXTM3U\ndata:video/mp4;base64,AAAA\n", NULL },
        { "#EXTM3U\nhttp://frigate:5000/\n", NULL },
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(buf_done) Buf out = BUF_INIT(4096);
        _cleanup_(error_done) Error err = {};
        int r = playlist_rewrite(cases[i].in, strlen(cases[i].in), &out, &err);

        if (cases[i].out) {
            assert_int_equal(r, 0);
            assert_string_equal(out.data, cases[i].out);
        } else {
            assert_true(r < 0);
            assert_string_equal(err.id, "media.playlist");
        }
    }
}

static MediaToken token_of(char number)
{
    MediaToken t = { .camera = (char *) "entrada", .person = (char *) "ana", .from = 1000, .until = 1600 };

    memset(t.id, number, sizeof(t.id) - 1);
    return t;
}

static MediaPath path_of(const char *camera, uint64_t from, uint64_t until)
{
    MediaPath p = { .from = from, .until = until };

    snprintf(p.camera, sizeof(p.camera), "%s", camera);
    return p;
}

static MediaSession *find(MediaSessions *s, const char *before, const char *value, const MediaPath *p, usec_t now)
{
    _cleanup_(freep) char *cookies = str_format("%s" MEDIA_COOKIE "=%s", before, value);

    assert_non_null(cookies);
    return media_session_find(s, cookies, p, now);
}

static void test_a_session(void **state)
{
    (void) state;
    _cleanup_(media_sessions_done) MediaSessions s = {};
    MediaToken t = token_of('a');
    MediaSession *one = NULL, *again = NULL;
    MediaPath p = path_of("entrada", 1000, 1600), part = path_of("entrada", 1100, 1200),
              early = path_of("entrada", 999, 1600), late = path_of("entrada", 1000, 1601),
              other = path_of("garagem", 1000, 1600);
    bool is_new = false;

    assert_null(media_session_find(&s, NULL, &p, NOW));
    assert_null(find(&s, "", "", &p, NOW)); /* a free place is nobody's */
    assert_int_equal(media_session_begin(&s, &t, NOW, &one, &is_new, NULL), 0);
    assert_true(is_new);
    assert_ptr_equal(find(&s, "", one->cookie, &p, NOW), one);
    assert_ptr_equal(find(&s, "a=b; " MEDIA_COOKIE "=AAAAAAAAAAAAAAAA; ", one->cookie, &part, NOW), one);
    assert_null(find(&s, "", one->cookie, &early, NOW));
    assert_null(find(&s, "", one->cookie, &late, NOW));
    assert_null(find(&s, "", one->cookie, &other, NOW));
    assert_null(find(&s, "x", one->cookie, &p, NOW));
    /* the token once more is the same session */
    assert_int_equal(media_session_begin(&s, &t, NOW + 1, &again, &is_new, NULL), 0);
    assert_true(!is_new && again == one);
    /* twice the recording, and ten minutes */
    assert_non_null(find(&s, "", one->cookie, &p, NOW + 1800 * USEC_PER_SEC - 1));
    assert_null(find(&s, "", one->cookie, &p, NOW + 1800 * USEC_PER_SEC));
}

/* A session of an event is for no other, and for no window; one of a window is for no event. */
static void test_a_session_of_an_event(void **state)
{
    (void) state;
    _cleanup_(media_sessions_done) MediaSessions s = {};
    MediaToken window = token_of('a'), event = token_of('b');
    MediaSession *one = NULL, *other = NULL;
    MediaPath p = path_of("entrada", 1000, 1600), clip, another;
    bool is_new;

    event.event = (char *) EVENT;
    event.from = event.until = 0;
    assert_true(media_path_parse("/media/event/" EVENT ".mp4", &clip));
    assert_true(media_path_parse("/media/event/1700000001.1-a.mp4", &another));
    assert_int_equal(media_session_begin(&s, &window, NOW, &one, &is_new, NULL), 0);
    assert_int_equal(media_session_begin(&s, &event, NOW, &other, &is_new, NULL), 0);
    assert_ptr_equal(find(&s, "", other->cookie, &clip, NOW), other);
    assert_null(find(&s, "", other->cookie, &another, NOW));
    assert_null(find(&s, "", other->cookie, &p, NOW));
    assert_null(find(&s, "", one->cookie, &clip, NOW));
    assert_non_null(find(&s, "", other->cookie, &clip, NOW + 70 * USEC_PER_MINUTE - 1));
    assert_null(find(&s, "", other->cookie, &clip, NOW + 70 * USEC_PER_MINUTE));
}

/* What was taken back begins nothing, whether it has before or not; others go on. */
static void test_revoked(void **state)
{
    (void) state;
    _cleanup_(media_sessions_done) MediaSessions s = {};
    _cleanup_(error_done) Error err = {};
    MediaToken a = token_of('a'), b = token_of('b'), c = token_of('c');
    MediaSession *one = NULL, *other = NULL, *found = NULL;
    MediaPath p = path_of("entrada", 1000, 1600);
    char cookie[JWT_ID_SIZE];
    bool is_new;

    assert_int_equal(media_session_begin(&s, &a, NOW, &one, &is_new, NULL), 0);
    assert_int_equal(media_session_begin(&s, &b, NOW, &other, &is_new, NULL), 0);
    memcpy(cookie, one->cookie, sizeof(cookie));
    assert_int_equal(media_sessions_revoke(&s, a.id, &found), 0);
    assert_ptr_equal(found, one);
    media_session_end(found);
    assert_null(find(&s, "", cookie, &p, NOW));
    assert_int_equal(media_session_begin(&s, &a, NOW, &found, &is_new, &err), -EACCES);
    assert_string_equal(err.id, "media.token-revoked");
    assert_int_equal(media_sessions_revoke(&s, a.id, &found), 0);
    assert_null(found);
    assert_int_equal(media_sessions_revoke(&s, c.id, &found), 0); /* not begun yet */
    assert_null(found);
    assert_int_equal(media_session_begin(&s, &c, NOW, &found, &is_new, NULL), -EACCES);
    assert_ptr_equal(find(&s, "", other->cookie, &p, NOW), other);
    for (unsigned i = 0; i < 2 * MEDIA_REVOKED_MAX; i++) {
        char id[JWT_ID_SIZE];
        snprintf(id, sizeof(id), "%016u", i);
        assert_int_equal(media_sessions_revoke(&s, id, &found), 0);
        assert_null(found);
    }
    assert_ptr_equal(find(&s, "", other->cookie, &p, NOW), other);
}

/* Who is there keeps the place; who has been away for two minutes loses it to somebody else, and whom much is sent does not. */
static void test_places(void **state)
{
    (void) state;
    _cleanup_(media_sessions_done) MediaSessions s = {};
    _cleanup_(error_done) Error err = {};
    MediaSession *all[MEDIA_SESSIONS_MAX], *more = NULL;
    MediaToken t;
    bool is_new;

    for (unsigned i = 0; i < MEDIA_SESSIONS_MAX; i++) {
        t = token_of((char) ('a' + (int) i));
        assert_int_equal(media_session_begin(&s, &t, NOW + i, &all[i], &is_new, NULL), 0);
    }
    t = token_of('z');
    assert_int_equal(media_session_begin(&s, &t, NOW + 2 * USEC_PER_MINUTE - 1, &more, &is_new, &err), -EAGAIN);
    assert_string_equal(err.id, "media.busy");
    all[0]->streams = 1;
    assert_int_equal(media_session_begin(&s, &t, NOW + 2 * USEC_PER_MINUTE + 1, &more, &is_new, NULL), 0);
    assert_ptr_equal(more, all[1]);
    assert_string_equal(more->token, t.id);
    assert_int_not_equal(all[0]->cookie[0], '\0');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths),   cmocka_unit_test(test_parts),     cmocka_unit_test(test_strips),
        cmocka_unit_test(test_events),  cmocka_unit_test(test_revoked),   cmocka_unit_test(test_a_session_of_an_event),
        cmocka_unit_test(test_answers), cmocka_unit_test(test_playlists), cmocka_unit_test(test_a_session),
        cmocka_unit_test(test_places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

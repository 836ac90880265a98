/* SPDX-License-Identifier: MIT */
#include "secbox/cameras/camera-feed.h"

#include <errno.h>
#include <string.h>

#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/event/daemon.h"
#include "secbox/cameras/multipart.h"

#define RETRY_MIN USEC_PER_SEC
#define RETRY_MAX (10 * USEC_PER_SEC)
/* What comes in place of pictures is read this far, for the status that ends it. */
#define NONSENSE_MAX ((size_t) 64 * 1024)

struct CameraView {
    CameraFeed *feed;
    CameraView *next;
    const CameraViewEvents *events;
    void *userdata;
};

struct CameraFeed {
    CameraFeeds *feeds;
    CameraFeed *next;
    char *camera;
    unsigned height, fps;
    HttpCall *call;
    sd_event_source *retry;
    usec_t delay;
    Multipart parser;
    size_t nonsense; /* bytes that came after what was no picture; 0: all is well */
    CameraView *views, *cursor;
    unsigned busy; /* views are being told something: nothing is freed */
};

static void begin(CameraFeed *f);

static void feed_free(CameraFeed *f)
{
    CameraFeed **at = &f->feeds->first;

    while (*at != f)
        at = &(*at)->next;
    *at = f->next;
    f->feeds->n--;
    http_call_free(f->call);
    sd_event_source_disable_unref(f->retry);
    multipart_done(&f->parser);
    free(f->camera);
    free(f);
}

static void view_unlink(CameraView *v)
{
    CameraFeed *f = v->feed;
    CameraView **at = &f->views;

    while (*at != v)
        at = &(*at)->next;
    *at = v->next;
    if (f->cursor == v)
        f->cursor = v->next;
    f->feeds->views--;
}

CameraView *camera_view_free(CameraView *v)
{
    if (!v)
        return NULL;
    CameraFeed *f = v->feed;
    view_unlink(v);
    free(v);
    if (!f->views && f->busy == 0)
        feed_free(f);
    return NULL;
}

/* Whether anybody looks on still; if not, the feed is gone. */
static bool release(CameraFeed *f)
{
    f->busy--;
    if (f->views || f->busy > 0)
        return true;
    feed_free(f);
    return false;
}

static void show(CameraFeed *f, Picture *p)
{
    for (CameraView *v = f->views; v; v = f->cursor) {
        f->cursor = v->next;
        v->events->on_picture(v, p, v->userdata);
    }
}

static void end_all(CameraFeed *f, int r, const Error *err)
{
    f->busy++;
    while (f->views) {
        CameraView *v = f->views;
        view_unlink(v);
        v->events->on_end(v, r, err, v->userdata);
        free(v);
    }
    (void) release(f);
}

/* One that there is no memory for is lost, as it would be to who is slow. */
static void on_part(const uint8_t *data, size_t len, void *userdata)
{
    CameraFeed *f = userdata;
    _cleanup_(picture_unrefp) Picture *p = picture_new(data, len);

    f->delay = 0;
    if (p)
        show(f, p);
}

static int on_data(const char *data, size_t len, void *userdata)
{
    CameraFeed *f = userdata;

    f->busy++;
    if (f->nonsense == 0 && multipart_feed(&f->parser, data, len, NULL) >= 0)
        return release(f) ? 0 : 1;
    f->nonsense += len;
    bool enough = f->nonsense > NONSENSE_MAX;
    return release(f) && !enough ? 0 : 1;
}

static int on_retry(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    begin(userdata);
    return 0;
}

static void try_again(CameraFeed *f)
{
    usec_t delay = f->delay;

    f->delay = f->delay == 0 ? RETRY_MIN : f->delay * 2 < RETRY_MAX ? f->delay * 2 : RETRY_MAX;
    if (timer_arm(f->feeds->event, &f->retry, delay > 0 ? delay : RETRY_MIN / 10, on_retry, f) < 0)
        end_all(f, -ENOMEM, NULL);
}

static void on_stream_end(HttpCall *call _unused_, int r, const HttpResponse *response, const Error *err,
                          void *userdata)
{
    CameraFeed *f = userdata;
    int status = r < 0 ? 0 : response->status;

    f->call = NULL;
    if (status == 404) {
        _cleanup_(error_done) Error why = {};
        r = error_set(&why, ENOENT, "camera.unknown", "Frigate has no camera %s any more", f->camera);
        end_all(f, r, &why);
        return;
    }
    f->busy++;
    if (r < 0 || status != 200)
        f->feeds->on_trouble(r, status, err, f->feeds->userdata);
    if (release(f))
        try_again(f);
}

static int picture_of(CameraFeed *f, int r, const HttpResponse *response, const Error *err, Picture **ret, Error *why)
{
    if (r < 0)
        return error_set(why, EHOSTUNREACH, "camera.frigate", "Frigate gives no picture: %s", error_message(err, r));
    if (response->status == 404)
        return error_set(why, ENOENT, "camera.unknown", "Frigate has no camera %s any more", f->camera);
    if (response->status != 200)
        return error_set(why, EIO, "camera.no-picture", "Frigate has no picture of %s (HTTP status %d)", f->camera,
                         response->status);
    if (!picture_is_jpeg(response->body, response->body_len))
        return error_set(why, EBADMSG, "camera.no-picture", "what Frigate gives for %s is no JPEG", f->camera);
    *ret = picture_new(response->body, response->body_len);
    return *ret ? 0 : error_from_errno(why, -ENOMEM, "no memory for a picture");
}

static void on_picture(HttpCall *call _unused_, int r, const HttpResponse *response, const Error *err, void *userdata)
{
    CameraFeed *f = userdata;
    _cleanup_(error_done) Error why = {};
    _cleanup_(picture_unrefp) Picture *p = NULL;
    int ours = picture_of(f, r, response, err, &p, &why), status = r < 0 ? 0 : response->status;

    f->call = NULL;
    f->busy++;
    if (ours >= 0) {
        if (str_equal(http_response_header(response, "X-Frigate-Offline", 0), "true"))
            f->feeds->on_offline(f->camera, f->feeds->userdata);
        show(f, p);
    } else if (status != 200 && status != 404) {
        f->feeds->on_trouble(r, status, err, f->feeds->userdata);
    }
    if (release(f))
        end_all(f, ours, ours < 0 ? &why : NULL);
}

static int ask(CameraFeed *f, Error *err)
{
    const FrigateRequest get = {
        .what = f->fps > 0 ? FRIGATE_STREAM : FRIGATE_LATEST,
        .camera = f->camera,
        .height = f->height,
        .fps = f->fps,
        .on_data = f->fps > 0 ? on_data : NULL,
        .userdata = f,
    };

    multipart_done(&f->parser);
    multipart_init(&f->parser, CAMERA_PICTURE_MAX, on_part, f);
    f->nonsense = 0;
    return frigate_get(f->feeds->frigate, &get, f->fps > 0 ? on_stream_end : on_picture, f, &f->call, err);
}

static void begin(CameraFeed *f)
{
    _cleanup_(error_done) Error err = {};
    int r = ask(f, &err);

    if (r < 0)
        end_all(f, r, &err);
}

static int feed_new(CameraFeeds *fs, const CameraRequest *want, CameraFeed **ret, Error *err)
{
    if (fs->n == CAMERA_FEEDS_MAX)
        return error_set(err, EBUSY, "camera.busy", "%d pictures of cameras are on their way already: end one of them",
                         CAMERA_FEEDS_MAX);
    CameraFeed *f = calloc(1, sizeof(*f));
    char *camera = f ? strdup(want->camera) : NULL;
    if (!camera) {
        free(f);
        return error_from_errno(err, -ENOMEM, "cannot look at a camera");
    }
    *f = (CameraFeed) { .feeds = fs, .next = fs->first, .camera = camera, .height = want->height, .fps = want->fps };
    fs->first = f;
    fs->n++;
    int r = ask(f, err);
    if (r < 0)
        feed_free(f);
    else
        *ret = f;
    return r;
}

static CameraFeed *find(const CameraFeeds *fs, const CameraRequest *want)
{
    CameraFeed *f = fs->first;

    while (f && (!str_equal(f->camera, want->camera) || f->height != want->height || f->fps != want->fps))
        f = f->next;
    return f;
}

int camera_feeds_join(CameraFeeds *fs, const CameraRequest *want, const CameraViewEvents *events, void *userdata,
                      CameraView **ret, Error *err)
{
    CameraFeed *f = find(fs, want);

    if (fs->views == CAMERA_VIEWS_MAX)
        return error_set(err, EBUSY, "camera.busy", "%d people look at cameras already", CAMERA_VIEWS_MAX);
    /* one that is ending, of a single picture, has nothing more to give */
    if (f && f->fps == 0 && !f->call)
        f = NULL;
    int r = f ? 0 : feed_new(fs, want, &f, err);
    if (r < 0)
        return r;
    CameraView *v = calloc(1, sizeof(*v));
    if (!v) {
        if (!f->views && f->busy == 0)
            feed_free(f);
        return error_from_errno(err, -ENOMEM, "cannot look at a camera");
    }
    *v = (CameraView) { .feed = f, .next = f->views, .events = events, .userdata = userdata };
    f->views = v;
    fs->views++;
    *ret = v;
    return 0;
}

void camera_feeds_done(CameraFeeds *fs)
{
    while (fs->first) {
        CameraFeed *f = fs->first;

        while (f->views) {
            CameraView *v = f->views;
            view_unlink(v);
            free(v);
        }
        feed_free(f);
    }
}

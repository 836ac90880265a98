/* SPDX-License-Identifier: MIT */
/* One request on its way to Frigate and back. A playlist, or a list of previews, is kept whole, and rewritten;
 * anything else is passed on as it comes, and Frigate is not read from while the viewer, or the bound of the uplink, does not take
 * it. */
#include <errno.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/strv.h"
#include "lib/event/daemon.h"
#include "lib/http/piped-answer.h"
#include "secbox/media/frigate-answer.h"
#include "secbox/media/media-impl.h"
#include "secbox/media/strip.h"

/* What is held of an answer: Frigate is paused above, and goes on below. curl hands over at most 16 KiB at a time. */
#define HELD_HIGH ((size_t) 256 * 1024)
#define HELD_LOW ((size_t) 64 * 1024)
#define HELD_MAX (2 * HELD_HIGH)
#define PIECE_MAX ((size_t) 64 * 1024)
/* How soon it is looked again whether the uplink has room. */
#define BOUND_INTERVAL (20 * USEC_PER_MSEC)

struct MediaFetch {
    MediaFetch *next, **link;
    Media *media;
    MediaAsk ask; /* without its file and its cookie */
    char *file, *cookie;
    HttpExchange *x;     /* until it is answered */
    PipedAnswer *answer; /* then, of what is passed on */
    HttpCall *call;      /* NULL: Frigate has sent all */
    Buf held;
    sd_event_source *timer;
    int status; /* of Frigate's answer; 0: none yet */
    bool paused, unpiped;
    bool head_is_all;   /* nobody wants more of the answer: HEAD */
    FrigateAnswer head; /* of it, once it is there: its status is not 0 */
};

static MediaFetch *fetch_free(MediaFetch *f)
{
    *f->link = f->next;
    if (f->next)
        f->next->link = f->link;
    f->ask.session->streams--;
    http_call_free(f->call);
    piped_answer_free(f->answer);
    sd_event_source_disable_unref(f->timer);
    buf_done(&f->held);
    free(f->file);
    free(f->cookie);
    free(f);
    return NULL;
}

void media_fetches_end(Media *m)
{
    while (m->fetches)
        fetch_free(m->fetches);
}

static void refuse(MediaFetch *f, int r, const Error *err)
{
    media_refuse(f->media, TAKE_PTR(f->x), r, err);
    fetch_free(f);
}

void media_fetches_end_of(Media *m, const MediaSession *s, int r, const Error *err)
{
    MediaFetch *next;

    for (MediaFetch *f = m->fetches; f; f = next) {
        next = f->next;
        if (f->ask.session != s)
            continue;
        if (f->x)
            refuse(f, r, err);
        else
            fetch_free(f); /* the viewer sees that it was cut */
    }
}

static int judge(const MediaFetch *f, int r, const Error *why, Error *err)
{
    return f->unpiped ? error_set(err, EINVAL, "media.request", "ask for one piece of a recording after the other")
                      : frigate_answer_judge(f->status, r, why, err);
}

static int on_bound(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    const MediaFetch *f = userdata;

    piped_answer_want(f->answer, true);
    return 0;
}

/* Whether so much may go now; else it is looked again soon. */
static bool is_in_bound(MediaFetch *f, size_t len)
{
    Media *m = f->media;

    if (!f->ask.outside || uplink_budget_take(m->bound, len, boottime_usec()))
        return true;
    if (timer_arm(m->event, &f->timer, BOUND_INTERVAL, on_bound, f) < 0)
        piped_answer_want(f->answer, true);
    return false;
}

static void go_on(MediaFetch *f)
{
    if (f->paused && f->call && f->held.len <= HELD_LOW) {
        f->paused = false;
        http_call_pause(f->call, false);
    }
    if (f->held.len > 0)
        piped_answer_want(f->answer, true);
    else if (!f->call)
        piped_answer_finish(f->answer);
}

static void on_room(PipedAnswer *a, void *userdata)
{
    MediaFetch *f = userdata;
    size_t len = f->held.len < PIECE_MAX ? f->held.len : PIECE_MAX;

    if (len > 0 && !is_in_bound(f, len))
        return;
    if (piped_answer_send(a, f->held.data, len) < 0) {
        fetch_free(f);
        return;
    }
    buf_consume(&f->held, len);
    go_on(f);
}

static void on_gone(PipedAnswer *a _unused_, void *userdata)
{
    MediaFetch *f = userdata;

    f->answer = NULL;
    fetch_free(f);
}

static const PipedAnswerEvents answer_events = { .on_room = on_room, .on_gone = on_gone };

static int write_headers(const MediaFetch *f, const FrigateAnswer *a, char ***ret)
{
    int r = 0;

    if (f->cookie)
        r = strv_add(ret, f->cookie);
    if (r >= 0 && a->content_range[0])
        r = strv_addf(ret, "Content-Range: %s", a->content_range);
    return r >= 0 && a->ranges ? strv_add(ret, "Accept-Ranges: bytes") : r;
}

/* It runs inside curl, where nothing can be refused: on_done does that. */
static int on_head(const HttpResponse *head, void *userdata)
{
    MediaFetch *f = userdata;
    _cleanup_(strv_freep) char **more = NULL, **headers = NULL;
    FrigateAnswer a;

    f->status = head->status;
    if (!frigate_answer_read(head, &a))
        return -1;
    if (f->head_is_all) {
        f->head = a;
        return -1; /* Frigate need not go on */
    }
    if (write_headers(f, &a, &more) < 0)
        return -1;
    headers = media_headers(f->media, f->x, (const char *const *) more);
    f->unpiped =
        !headers || piped_answer_new(f->x, a.status, f->ask.path.type, a.has_length ? a.length : HTTP_LENGTH_UNKNOWN,
                                     (const char *const *) headers, &answer_events, f, &f->answer) < 0;
    if (f->unpiped)
        return -1;
    f->x = NULL;
    return 0;
}

static int on_data(const char *data, size_t len, void *userdata)
{
    MediaFetch *f = userdata;

    if (buf_append(&f->held, data, len) < 0)
        return -1;
    if (f->held.len >= HELD_HIGH && !f->paused) {
        f->paused = true;
        http_call_pause(f->call, true);
    }
    piped_answer_want(f->answer, true);
    return 0;
}

/* An answer without a body has no head. */
static void answer_empty(MediaFetch *f)
{
    const char *const more[] = { f->cookie, NULL };

    media_answer(f->media, TAKE_PTR(f->x), 200, f->ask.path.type, "", 0, more);
    fetch_free(f);
}

static void answer_head(MediaFetch *f)
{
    _cleanup_(strv_freep) char **more = NULL;
    _cleanup_(strv_freep) char **headers =
        write_headers(f, &f->head, &more) < 0 ? NULL : media_headers(f->media, f->x, (const char *const *) more);

    if (!headers) {
        refuse(f, -ENOMEM, NULL);
        return;
    }
    http_respond_head(TAKE_PTR(f->x), f->head.status, f->ask.path.type,
                      f->head.has_length ? f->head.length : HTTP_LENGTH_UNKNOWN, (const char *const *) headers);
    fetch_free(f);
}

static void on_done(HttpCall *call _unused_, int r, const HttpResponse *response, const Error *why, void *userdata)
{
    MediaFetch *f = userdata;
    _cleanup_(error_done) Error err = {};

    f->call = NULL;
    f->status = response->status > 0 ? response->status : f->status;
    cameras_tell_status(f->media->cameras, f->status);
    if (f->answer && r >= 0)
        go_on(f);
    else if (f->answer)
        fetch_free(f); /* the viewer sees that it was cut */
    else if (f->head.status > 0)
        answer_head(f);
    else if (r >= 0 && f->status == 200)
        answer_empty(f);
    else
        refuse(f, judge(f, r, why, &err), &err);
}

static void on_playlist(HttpCall *call _unused_, int r, const HttpResponse *response, const Error *why, void *userdata)
{
    MediaFetch *f = userdata;
    _cleanup_(buf_done) Buf out = BUF_INIT(PLAYLIST_SIZE_MAX);
    _cleanup_(error_done) Error err = {};
    const char *const more[] = { f->cookie, NULL };

    f->call = NULL;
    f->status = response->status;
    cameras_tell_status(f->media->cameras, f->status);
    r = r < 0 || f->status != 200 ? judge(f, r, why, &err)
                                  : media_text_rewrite(&f->ask.path, response->body, response->body_len, &out, &err);
    if (r < 0) {
        refuse(f, r, &err);
        return;
    }
    media_answer(f->media, TAKE_PTR(f->x), 200, f->ask.path.type, out.data, out.len, more);
    fetch_free(f);
}

static void on_viewer_gone(HttpExchange *x _unused_, void *userdata)
{
    MediaFetch *f = userdata;

    f->x = NULL;
    fetch_free(f);
}

static MediaFetch *fetch_new(Media *m, HttpExchange *x, const MediaAsk *ask)
{
    MediaFetch *f = calloc(1, sizeof(*f));

    if (!f)
        return NULL;
    *f = (MediaFetch) { .media = m, .ask = *ask, .x = x, .held = BUF_INIT(HELD_MAX), .next = m->fetches };
    f->link = &m->fetches;
    if (f->next)
        f->next->link = &f->next;
    m->fetches = f;
    f->ask.session->streams++;
    f->ask.cookie = NULL;
    f->file = strdup(ask->path.file);
    f->cookie = ask->cookie ? strdup(ask->cookie) : NULL;
    f->head_is_all = http_is_head(x);
    f->ask.path.file = f->file;
    return f->file && (!ask->cookie || f->cookie) ? f : fetch_free(f);
}

void media_fetch(Media *m, HttpExchange *x, const MediaAsk *ask)
{
    MediaFetch *f = fetch_new(m, x, ask);
    _cleanup_(error_done) Error err = {};

    if (!f) {
        media_refuse(m, x, -ENOMEM, NULL);
        return;
    }
    const MediaPath *path = &f->ask.path;
    bool playlist = media_path_is_text(path);
    const FrigateRequest get = {
        .what = path->kind,
        .camera = path->camera,
        .from = path->from,
        .until = path->until,
        .id = path->event,
        .file = path->file,
        .range = playlist ? NULL : http_header(x, "Range"),
        .on_head = playlist ? NULL : on_head,
        .on_data = playlist ? NULL : on_data,
        .userdata = f,
    };
    int r = cameras_get_recording(m->cameras, &get, playlist ? on_playlist : on_done, f, &f->call, &err);
    if (r < 0)
        refuse(f, r, &err);
    else
        http_on_gone(x, on_viewer_gone, f);
}

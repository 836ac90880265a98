/* SPDX-License-Identifier: MIT */
#include "secbox/media/recording-streams.h"

#include <errno.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/event/daemon.h"
#include "secbox/media/frigate-answer.h"
#include "secbox/media/media-path.h"
#include "secbox/media/strip.h"

#define NAME_LENGTH_MAX 128
#define HELD_HIGH ((size_t) 128 * 1024)
#define HELD_LOW ((size_t) 32 * 1024)
/* A playlist is held whole, and a piece of curl's comes on top of the rest. */
#define HELD_MAX (2 * PLAYLIST_SIZE_MAX)
#define PIECE_MAX ((size_t) 16 * 1024)
#define BOUND_INTERVAL (20 * USEC_PER_MSEC)

typedef struct RecordingStream {
    RecordingStreams *owner;
    MuxStream *stream;
    MediaPath path;
    char *person, *file, *range;
    HttpCall *call; /* NULL: Frigate has sent all */
    Buf held;
    sd_event_source *timer;
    int status; /* of Frigate's answer; 0: none yet */
    bool headed, paused, finished;
} RecordingStream;

struct RecordingStreams {
    sd_event *event;
    Cameras *cameras;
    UplinkBudget *bound;
    RecordingStream *all[RECORDING_STREAMS_MAX];
};

static void stream_done(RecordingStream *s)
{
    for (unsigned i = 0; i < RECORDING_STREAMS_MAX; i++)
        if (s->owner->all[i] == s)
            s->owner->all[i] = NULL;
    http_call_free(s->call);
    sd_event_source_disable_unref(s->timer);
    buf_done(&s->held);
    free(s->person);
    free(s->file);
    free(s->range);
    free(s);
}

static void push(RecordingStream *s);

static int on_bound(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    push(userdata);
    return 0;
}

static bool is_in_bound(RecordingStream *s)
{
    return uplink_budget_take(s->owner->bound, 0, boottime_usec()) ||
           timer_arm(s->owner->event, &s->timer, BOUND_INTERVAL, on_bound, s) < 0;
}

/* As much of it as there is room for; on_room or the timer goes on. */
static void push(RecordingStream *s)
{
    while (s->held.len > 0) {
        size_t len = s->held.len < PIECE_MAX ? s->held.len : PIECE_MAX;
        if (!is_in_bound(s))
            break;
        size_t n = mux_stream_write(s->stream, s->held.data, len);
        buf_consume(&s->held, n);
        (void) uplink_budget_take(s->owner->bound, n, boottime_usec());
        if (n < len)
            break;
    }
    if (s->paused && s->call && s->held.len <= HELD_LOW) {
        s->paused = false;
        http_call_pause(s->call, false);
    }
    if (s->held.len == 0 && !s->call && !s->finished) {
        s->finished = true;
        mux_stream_finish(s->stream);
    }
}

/* What the answer is, before its bytes. Takes o. */
static int put_head(RecordingStream *s, cJSON *o)
{
    _cleanup_(cJSON_Deletep) cJSON *owned = o;
    _cleanup_(freep) char *text = owned ? json_print(owned) : NULL;
    uint32_t len = text ? (uint32_t) strlen(text) : 0;
    const uint8_t size[RECORDING_LENGTH_SIZE] = { (uint8_t) (len >> 24), (uint8_t) (len >> 16), (uint8_t) (len >> 8),
                                                  (uint8_t) len };
    int r = text ? buf_append(&s->held, size, sizeof(size)) : -ENOMEM;

    s->headed = true;
    return r < 0 ? r : buf_append(&s->held, text, len);
}

static void send_error(RecordingStream *s, int r, const Error *err)
{
    cJSON *o = cJSON_CreateObject();

    if (o && json_add_item(o, "error", json_from_error(err, r)) < 0) {
        cJSON_Delete(o);
        o = NULL;
    }
    if (put_head(s, o) < 0)
        buf_clear(&s->held);
    push(s);
}

static cJSON *head_of(const RecordingStream *s, const FrigateAnswer *a)
{
    _cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();

    if (!o || json_add_int(o, "status", a->status) < 0 || json_add_string(o, "contentType", s->path.type) < 0 ||
        (a->has_length && json_add_u64(o, "length", a->length) < 0) ||
        json_add_string(o, "contentRange", a->content_range[0] ? a->content_range : NULL) < 0 ||
        json_add_bool(o, "ranges", a->ranges) < 0)
        return NULL;
    return TAKE_PTR(o);
}

static int on_head(const HttpResponse *head, void *userdata)
{
    RecordingStream *s = userdata;
    FrigateAnswer a;

    s->status = head->status;
    return frigate_answer_read(head, &a) ? put_head(s, head_of(s, &a)) : -1;
}

static int on_data(const char *data, size_t len, void *userdata)
{
    RecordingStream *s = userdata;

    if (buf_append(&s->held, data, len) < 0)
        return -1;
    if (s->held.len >= HELD_HIGH && !s->paused) {
        s->paused = true;
        http_call_pause(s->call, true);
    }
    /* it runs inside curl, which push() may ask to go on */
    return timer_arm(s->owner->event, &s->timer, 0, on_bound, s) < 0 ? -1 : 0;
}

static void on_done(HttpCall *call _unused_, int r, const HttpResponse *response, const Error *why, void *userdata)
{
    RecordingStream *s = userdata;
    _cleanup_(error_done) Error err = {};
    FrigateAnswer a;

    s->call = NULL;
    s->status = response->status > 0 ? response->status : s->status;
    cameras_tell_status(s->owner->cameras, s->status);
    if (s->headed && r < 0) { /* whoever sees it is told that it was cut */
        mux_stream_reset(s->stream, "recording.cut");
        stream_done(s);
        return;
    }
    if (!s->headed && r >= 0 && frigate_answer_read(response, &a)) {
        a.has_length = true;
        a.length = 0;
        (void) put_head(s, head_of(s, &a));
    } else if (!s->headed) {
        send_error(s, frigate_answer_judge(s->status, r, why, &err), &err);
        return;
    }
    push(s);
}

static void on_playlist(HttpCall *call _unused_, int r, const HttpResponse *response, const Error *why, void *userdata)
{
    RecordingStream *s = userdata;
    _cleanup_(buf_done) Buf out = BUF_INIT(PLAYLIST_SIZE_MAX);
    _cleanup_(error_done) Error err = {};

    s->call = NULL;
    cameras_tell_status(s->owner->cameras, response->status);
    r = r < 0 || response->status != 200 ? frigate_answer_judge(response->status, r, why, &err)
                                         : media_text_rewrite(&s->path, response->body, response->body_len, &out, &err);
    if (r >= 0) {
        const FrigateAnswer a = { .status = 200, .has_length = true, .length = out.len };
        r = put_head(s, head_of(s, &a));
        if (r >= 0)
            r = buf_append(&s->held, out.data, out.len);
    }
    if (r < 0)
        send_error(s, r, &err);
    else
        push(s);
}

/* The gateway has nothing to say. */
static void on_nothing(MuxStream *s, const uint8_t *data _unused_, size_t len, void *userdata _unused_)
{
    mux_stream_consumed(s, len);
}

static void on_room(MuxStream *stream _unused_, void *userdata)
{
    push(userdata);
}

static void on_closed(MuxStream *stream _unused_, const char *reason _unused_, void *userdata)
{
    stream_done(userdata);
}

static const MuxStreamEvents stream_events = { .on_data = on_nothing, .on_room = on_room, .on_closed = on_closed };

static char *copy_text(const char *text)
{
    return strndup(text ? text : "", NAME_LENGTH_MAX);
}

static bool take_event(RecordingStream *s, const cJSON *open)
{
    char *file = str_format("%s.mp4", json_string(open, "event"));

    free(s->file);
    s->file = file;
    return media_path_make_event(json_string(open, "camera"), file, &s->path);
}

static bool take_open(RecordingStream *s, const cJSON *open)
{
    uint64_t from = 0, until = 0;

    if (json_string(open, "event"))
        return take_event(s, open);
    return json_u64(open, "from", &from) >= 0 && json_u64(open, "until", &until) >= 0 &&
           media_path_make(json_string(open, "camera"), from, until, s->file, &s->path);
}

/* Of what consists of many files, what a viewer asks for first. */
static bool is_beginning(const RecordingStream *s)
{
    return s->path.kind == FRIGATE_CLIP || s->path.kind == FRIGATE_PREVIEW || s->path.kind == FRIGATE_STRIP ||
           str_equal(s->file, "master.m3u8");
}

static void ask(RecordingStream *s, const cJSON *open)
{
    _cleanup_(error_done) Error err = {};
    int r = 0;

    if (!take_open(s, open))
        r = error_set(&err, EINVAL, "camera.no-file", "a recording has no such file, or no such window");
    else if (!s->owner->cameras)
        r = error_set(&err, ENODEV, "camera.none", "this box has no Frigate: set FRIGATE_URL in secbox.env");
    bool playlist = r >= 0 && media_path_is_text(&s->path);
    const FrigateRequest get = {
        .what = s->path.kind,
        .camera = s->path.camera,
        .from = s->path.from,
        .until = s->path.until,
        .id = s->path.event,
        .file = s->file,
        .range = playlist ? NULL : s->range,
        .on_head = playlist ? NULL : on_head,
        .on_data = playlist ? NULL : on_data,
        .userdata = s,
    };
    if (r >= 0)
        r = cameras_get_recording(s->owner->cameras, &get, playlist ? on_playlist : on_done, s, &s->call, &err);
    if (r < 0)
        send_error(s, r, &err);
    else if (s->path.kind == FRIGATE_EVENT_CLIP)
        log_notice("%s sees the event %s of the camera %s", s->person, s->path.event, s->path.camera);
    else if (is_beginning(s))
        log_notice("%s sees the recording of the camera %s, %llu seconds from %llu on", s->person, s->path.camera,
                   (unsigned long long) (s->path.until - s->path.from), (unsigned long long) s->path.from);
}

void recording_streams_open(RecordingStreams *rs, MuxStream *stream, const cJSON *open)
{
    const char *range = json_string(open, "range");
    unsigned slot = 0;

    while (slot < RECORDING_STREAMS_MAX && rs->all[slot])
        slot++;
    if (slot == RECORDING_STREAMS_MAX) {
        mux_stream_reset(stream, "recording.busy");
        return;
    }
    RecordingStream *s = calloc(1, sizeof(*s));
    if (s)
        *s = (RecordingStream) { .owner = rs,
                                 .stream = stream,
                                 .held = BUF_INIT(HELD_MAX),
                                 .person = copy_text(json_string(open, "person")),
                                 .file = copy_text(json_string(open, "file")),
                                 .range = range ? copy_text(range) : NULL };
    if (!s || !s->person || !s->file || (range && !s->range)) {
        mux_stream_reset(stream, "recording.no-memory");
        if (s)
            stream_done(s);
        return;
    }
    rs->all[slot] = s;
    mux_stream_accept(stream, &stream_events, s);
    mux_stream_set_low(stream);
    ask(s, open);
}

RecordingStreams *recording_streams_new(sd_event *event, Cameras *cameras, UplinkBudget *bound)
{
    RecordingStreams *rs = calloc(1, sizeof(*rs));

    if (rs)
        *rs = (RecordingStreams) { .event = sd_event_ref(event), .cameras = cameras, .bound = bound };
    return rs;
}

RecordingStreams *recording_streams_free(RecordingStreams *rs)
{
    if (!rs)
        return NULL;
    for (unsigned i = 0; i < RECORDING_STREAMS_MAX; i++)
        if (rs->all[i]) {
            mux_stream_reset(rs->all[i]->stream, "recording.ended");
            stream_done(rs->all[i]);
        }
    sd_event_unref(rs->event);
    free(rs);
    return NULL;
}

/* SPDX-License-Identifier: MIT */
#include "secbox/cameras/camera-streams.h"

#include <errno.h>
#include <string.h>

#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "lib/base/uplink-budget.h"
#include "lib/data/json.h"
#include "lib/event/daemon.h"

#define BYTES_PER_KBIT 125
#define NAME_LENGTH_MAX 128
/* Whoever asked for one picture waits for it at the gateway, which gives up later. */
#define SINGLE_PATIENCE (10 * USEC_PER_SEC)

typedef struct CameraStream {
    CameraStreams *owner;
    MuxStream *stream;
    CameraView *view;
    Picture *sending;      /* NULL: none is on its way */
    Picture *last;         /* goes behind it: a text that ends the stream */
    size_t sent;           /* bytes of its length and of itself */
    sd_event_source *turn; /* of a single picture, which is `held` until then */
    bool held;
    char *person, *camera;
    uint64_t shown, lost; /* pictures */
} CameraStream;

struct CameraStreams {
    sd_event *event;
    Cameras *cameras;
    UplinkBudget bound;
    CameraStream *all[CAMERA_STREAMS_MAX];
};

static void stream_done(CameraStream *s)
{
    for (unsigned i = 0; i < CAMERA_STREAMS_MAX; i++)
        if (s->owner->all[i] == s)
            s->owner->all[i] = NULL;
    camera_view_free(s->view);
    sd_event_source_disable_unref(s->turn);
    if (s->shown > 0 || s->lost > 0)
        log_info("%s has looked at the camera %s: %llu pictures sent, %llu passed over", s->person, s->camera,
                 (unsigned long long) s->shown, (unsigned long long) s->lost);
    picture_unref(s->sending);
    picture_unref(s->last);
    free(s->person);
    free(s->camera);
    free(s);
}

static void finish_if_last(const CameraStream *s)
{
    if (!s->sending && !s->view)
        mux_stream_finish(s->stream);
}

/* As much of it as there is room for. */
static void push(CameraStream *s)
{
    while (!s->held && (s->sending || (s->sending = TAKE_PTR(s->last)))) {
        uint32_t len = (uint32_t) s->sending->len;
        const uint8_t head[CAMERA_LENGTH_SIZE] = { (uint8_t) (len >> 24), (uint8_t) (len >> 16), (uint8_t) (len >> 8),
                                                   (uint8_t) len };
        bool in_head = s->sent < CAMERA_LENGTH_SIZE;
        const uint8_t *from = in_head ? head + s->sent : s->sending->data + (s->sent - CAMERA_LENGTH_SIZE);
        size_t left = in_head ? CAMERA_LENGTH_SIZE - s->sent : s->sending->len - (s->sent - CAMERA_LENGTH_SIZE);
        size_t n = mux_stream_write(s->stream, from, left);

        s->sent += n;
        if (n < left)
            return;
        if (s->sent == CAMERA_LENGTH_SIZE + s->sending->len) {
            s->sending = picture_unref(s->sending);
            s->sent = 0;
        }
    }
    finish_if_last(s);
}

static void send_text(CameraStream *s, cJSON *o)
{
    _cleanup_(cJSON_Deletep) cJSON *owned = o;
    _cleanup_(freep) char *text = owned ? json_print(owned) : NULL;

    if (text)
        s->last = picture_new(text, strlen(text));
    push(s);
}

static void send_error(CameraStream *s, int r, const Error *err)
{
    cJSON *o = cJSON_CreateObject();

    if (o && json_add_item(o, "error", json_from_error(err, r)) < 0) {
        cJSON_Delete(o);
        o = NULL;
    }
    send_text(s, o);
}

/* The newest counts: while one is on its way, those that come are passed over, and the one after it is as new as can be. */
static void on_picture(CameraView *v _unused_, Picture *p, void *userdata)
{
    CameraStream *s = userdata;

    if (s->sending || mux_stream_waiting(s->stream) > 0 ||
        !uplink_budget_take(&s->owner->bound, p->len, boottime_usec())) {
        s->lost++;
        return;
    }
    s->sending = picture_ref(p);
    s->shown++;
    push(s);
}

static int on_turn(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    CameraStream *s = userdata;

    s->held = false;
    push(s);
    return 0;
}

/* It waits instead of being passed over: nobody would send it a second time. */
static void on_only_picture(CameraView *v _unused_, Picture *p, void *userdata)
{
    CameraStream *s = userdata;
    CameraStreams *cs = s->owner;
    _cleanup_(error_done) Error err = {};
    usec_t wait = uplink_budget_queue(&cs->bound, p->len, boottime_usec(), SINGLE_PATIENCE);

    if (wait == USEC_INFINITY) {
        s->lost++;
        send_error(s,
                   error_set(&err, EAGAIN, "camera.busy",
                             "the way to the cloud is full of pictures (CAMERA_UPLINK_KBIT): try again later"),
                   &err);
        return;
    }
    s->held = wait > 0 && timer_arm(cs->event, &s->turn, wait, on_turn, s) >= 0;
    s->sending = picture_ref(p);
    s->shown++;
}

static void on_view_end(CameraView *v _unused_, int r, const Error *err, void *userdata)
{
    CameraStream *s = userdata;

    s->view = NULL;
    if (r < 0)
        send_error(s, r, err);
    else
        push(s);
}

static const CameraViewEvents stream_view = { .on_picture = on_picture, .on_end = on_view_end };
static const CameraViewEvents picture_view = { .on_picture = on_only_picture, .on_end = on_view_end };

/* The gateway has nothing to say. */
static void on_data(MuxStream *s, const uint8_t *data _unused_, size_t len, void *userdata _unused_)
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

static const MuxStreamEvents stream_events = { .on_data = on_data, .on_room = on_room, .on_closed = on_closed };

static char *copy_text(const char *text)
{
    return strndup(text ? text : "", NAME_LENGTH_MAX);
}

static void look(CameraStream *s, const cJSON *open)
{
    _cleanup_(error_done) Error err = {};
    uint64_t height = 0, fps = 0;
    int r;

    (void) !json_u64(open, "height", &height);
    (void) !json_u64(open, "fps", &fps);
    const CameraRequest want = {
        .camera = json_string(open, "camera"),
        .height = height < UINT16_MAX ? (unsigned) height : UINT16_MAX,
        .fps = fps < UINT16_MAX ? (unsigned) fps : UINT16_MAX,
    };
    if (!s->owner->cameras)
        r = error_set(&err, ENODEV, "camera.none", "this box has no Frigate: set FRIGATE_URL in secbox.env");
    else if (json_bool(open, "list", false)) {
        send_text(s, cameras_describe(s->owner->cameras));
        return;
    } else {
        r = camera_view_open(s->owner->cameras, &want, want.fps > 0 ? &stream_view : &picture_view, s, &s->view, &err);
    }
    if (r < 0)
        send_error(s, r, &err);
}

void camera_streams_open(CameraStreams *cs, MuxStream *stream, const cJSON *open)
{
    unsigned slot = 0;

    while (slot < CAMERA_STREAMS_MAX && cs->all[slot])
        slot++;
    if (slot == CAMERA_STREAMS_MAX) {
        mux_stream_reset(stream, "camera.busy");
        return;
    }
    CameraStream *s = calloc(1, sizeof(*s));
    if (s)
        *s = (CameraStream) { .owner = cs,
                              .stream = stream,
                              .person = copy_text(json_string(open, "person")),
                              .camera = copy_text(json_string(open, "camera")) };
    if (!s || !s->person || !s->camera) {
        mux_stream_reset(stream, "camera.no-memory");
        if (s)
            stream_done(s);
        return;
    }
    cs->all[slot] = s;
    mux_stream_accept(stream, &stream_events, s);
    mux_stream_set_low(stream);
    look(s, open);
}

CameraStreams *camera_streams_new(sd_event *event, Cameras *cameras, unsigned kbit)
{
    CameraStreams *cs = calloc(1, sizeof(*cs));

    if (cs)
        *cs = (CameraStreams) { .event = sd_event_ref(event),
                                .cameras = cameras,
                                .bound = uplink_budget_make((uint64_t) kbit * BYTES_PER_KBIT, boottime_usec()) };
    return cs;
}

CameraStreams *camera_streams_free(CameraStreams *cs)
{
    if (!cs)
        return NULL;
    for (unsigned i = 0; i < CAMERA_STREAMS_MAX; i++)
        if (cs->all[i]) {
            mux_stream_reset(cs->all[i]->stream, "camera.ended");
            stream_done(cs->all[i]);
        }
    sd_event_unref(cs->event);
    free(cs);
    return NULL;
}

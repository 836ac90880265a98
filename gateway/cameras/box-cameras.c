/* SPDX-License-Identifier: MIT */
/* A request waits until the first picture is there, so that what is wrong is answered with a status; then its connection becomes a
 * viewer. */
#include "gateway/cameras/box-cameras.h"

#include <errno.h>
#include <string.h>

#include "gateway/auth/audit.h"
#include "gateway/cameras/camera-flow.h"
#include "gateway/cameras/lately.h"
#include "gateway/cameras/token-watch.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/http/mjpeg-viewer.h"

#define ANSWER_TIMEOUT (20 * USEC_PER_SEC)
#define VIEWERS_OF_PERSON_MAX 16
#define VIEWERS_OF_DEVICE_MAX 32
#define HEIGHT_MAX 2160
#define FPS_MAX 30
#define FPS_USUAL 3
/* A page that asks for a picture each second is looked at, and says so in the audit log once a minute. */
#define NOTED_FOR USEC_PER_MINUTE

typedef enum LookKind {
    LOOK_LIST,
    LOOK_FRAME,
    LOOK_STREAM,
} LookKind;

typedef struct Viewer Viewer;

/* What comes from a box for one or several. */
typedef struct Look {
    BoxCameras *owner;
    struct Look *next;
    LookKind kind;
    char *device, *camera;
    unsigned height, fps;
    CameraFlow *flow;
    Viewer *viewers;
    Viewer *cursor; /* while they are told something: the next one */
    unsigned busy;  /* the same: nothing is freed */
} Look;

struct Viewer {
    Look *look;
    Viewer *next;
    Request *request;  /* until it is answered */
    MjpegViewer *http; /* then */
    char *person, *token;
};

struct BoxCameras {
    Store *store;
    Requests *requests;
    DeviceConns *conns;
    const DeviceRegistry *registry;
    Look *looks;
    Lately *noted; /* who has looked at what */
    TokenWatch *watch;
};

static void look_free(Look *l)
{
    Look **at = &l->owner->looks;

    while (*at != l)
        at = &(*at)->next;
    *at = l->next;
    camera_flow_free(l->flow);
    free(l->device);
    free(l->camera);
    free(l);
}

static void release(Look *l)
{
    if (--l->busy == 0 && !l->viewers)
        look_free(l);
}

/* The box holds pictures back while nobody takes one. */
static void adapt(Look *l)
{
    bool taken = false;

    for (const Viewer *v = l->viewers; v && !taken; v = v->next)
        taken = !v->http || mjpeg_viewer_is_free(v->http);
    if (l->flow)
        camera_flow_hold(l->flow, !taken);
}

/* Without a word to whoever it is. */
static void viewer_free(Viewer *v)
{
    Look *l = v->look;
    Viewer **at = &l->viewers;

    l->busy++;
    while (*at != v)
        at = &(*at)->next;
    *at = v->next;
    if (l->cursor == v)
        l->cursor = v->next;
    mjpeg_viewer_free(v->http);
    free(v->person);
    free(v->token);
    free(v);
    if (l->viewers)
        adapt(l);
    release(l);
}

/* The request goes, whatever the reason. */
static void on_request_gone(void *viewer)
{
    viewer_free(viewer);
}

static void fail_viewer(Viewer *v, int r, const Error *err)
{
    if (v->request)
        request_fail(v->request, r, err); /* frees v, by its scratch */
    else
        viewer_free(v);
}

static void end_look(Look *l, int r, const Error *err)
{
    l->busy++;
    while (l->viewers)
        fail_viewer(l->viewers, r, err);
    release(l);
}

static void on_viewer_gone(MjpegViewer *http _unused_, void *userdata)
{
    Viewer *v = userdata;

    v->http = NULL; /* it frees itself */
    viewer_free(v);
}

static void on_viewer_free(MjpegViewer *http _unused_, void *userdata)
{
    const Viewer *v = userdata;

    adapt(v->look);
}

static const MjpegViewerEvents viewer_events = { .on_gone = on_viewer_gone, .on_free = on_viewer_free };

/* Whether it has been written down just now; else it will have been. */
static bool was_noted(const BoxCameras *b, const char *person, const Look *l)
{
    _cleanup_(freep) char *key = str_format("%s/%s/%d/%s", l->device, l->camera, (int) l->kind, person);

    return key && !lately_is_news(b->noted, key, boottime_usec());
}

static void write_down(const Look *l, const Viewer *v)
{
    if (was_noted(l->owner, v->person, l))
        return;
    _cleanup_(freep) char *actor = str_format(OPERATOR_ACTOR_PREFIX "%s", v->person);
    cJSON *detail = cJSON_CreateObject();

    if (detail && (json_add_string(detail, "camera", l->camera) < 0 ||
                   json_add_string(detail, "as", l->kind == LOOK_FRAME ? "picture" : "stream") < 0))
        detail = (cJSON_Delete(detail), NULL);
    audit_write(l->owner->store, &(AuditEntry) { .actor = actor ? actor : OPERATOR_ACTOR_PREFIX,
                                                 .action = "camera.look",
                                                 .device = l->device,
                                                 .detail = detail });
}

/* mjpeg_viewer_new() says the first by itself. Whoever has a ticket may show it on any page. */
static const char *const own_headers[] = { "Cache-Control: no-store", "X-Content-Type-Options: nosniff",
                                           "Content-Security-Policy: default-src 'none'; sandbox",
                                           "Cross-Origin-Resource-Policy: same-origin", NULL };
static const char *const ticket_headers[] = { "Cache-Control: no-store",
                                              "X-Content-Type-Options: nosniff",
                                              "Content-Security-Policy: default-src 'none'; sandbox",
                                              "Cross-Origin-Resource-Policy: cross-origin",
                                              "Referrer-Policy: no-referrer",
                                              NULL };

static const char *const *headers_of(const Request *c)
{
    return c->by_ticket ? ticket_headers : own_headers;
}

static void answer_list(Viewer *v, const uint8_t *data, size_t len)
{
    cJSON *list = NULL;

    if (json_parse_object((const char *) data, len, &list, NULL) >= 0)
        request_answer(v->request, 200, list);
    else
        request_fail(v->request, -ENOMEM, NULL);
}

static void answer_frame(Viewer *v, const uint8_t *data, size_t len)
{
    const char *const *headers = headers_of(v->request);
    HttpExchange *x = TAKE_PTR(v->request->exchange);

    request_free(v->request);
    http_respond(x, 200, "image/jpeg", (const char *) data, len, headers);
}

/* The connection of its request is the viewer's from now on. False: the viewer is gone. */
static bool begin_stream(Viewer *v)
{
    Request *c = v->request;
    _cleanup_(error_done) Error err = {};
    int r = mjpeg_viewer_new(c->exchange, headers_of(c) + 2, &viewer_events, v, &v->http);

    if (r == -ENOTCONN)
        r = error_set(&err, EINVAL, "request.bad", "send GET, and nothing behind the request");
    if (r < 0) {
        request_fail(c, r, &err);
        return false;
    }
    v->request = NULL;
    c->exchange = NULL;
    c->scratch = NULL;
    request_free(c);
    return true;
}

static void show(Look *l, Viewer *v, const uint8_t *data, size_t len, Picture *p)
{
    if (l->kind == LOOK_LIST) {
        answer_list(v, data, len);
        return;
    }
    if (v->request)
        write_down(l, v);
    if (l->kind == LOOK_FRAME) {
        answer_frame(v, data, len);
        return;
    }
    if (v->http || begin_stream(v))
        mjpeg_viewer_show(v->http, p);
}

static void on_record(CameraFlow *f _unused_, const uint8_t *data, size_t len, void *userdata)
{
    Look *l = userdata;
    _cleanup_(picture_unrefp) Picture *p = picture_new(data, len);
    bool is_picture = picture_is_jpeg(data, len);

    if (!p || is_picture != (l->kind != LOOK_LIST))
        return;
    l->busy++;
    for (Viewer *v = l->viewers; v; v = l->cursor) {
        l->cursor = v->next;
        show(l, v, data, len, p);
    }
    adapt(l);
    release(l);
}

static void on_flow_end(CameraFlow *f _unused_, int r, const Error *err, void *userdata)
{
    Look *l = userdata;
    _cleanup_(error_done) Error why = {};

    l->flow = NULL;
    if (r >= 0)
        r = error_set(&why, EBADMSG, "camera.ended", "the box has ended it without a picture");
    end_look(l, r, why.id ? &why : err);
}

static const CameraFlowEvents flow_events = { .on_record = on_record, .on_end = on_flow_end };

static Look *find(const BoxCameras *b, const Look *wanted)
{
    Look *l = b->looks;

    while (l && (l->kind != LOOK_STREAM || !l->flow || !str_equal(l->device, wanted->device) ||
                 !str_equal(l->camera, wanted->camera) || l->height != wanted->height || l->fps != wanted->fps))
        l = l->next;
    return wanted->kind == LOOK_STREAM ? l : NULL;
}

/* In the list, without a viewer. */
static Look *look_new(BoxCameras *b, const Look *wanted)
{
    Look *l = calloc(1, sizeof(*l));

    if (!l)
        return NULL;
    *l = (Look) { .owner = b,
                  .next = b->looks,
                  .kind = wanted->kind,
                  .device = strdup(wanted->device),
                  .camera = wanted->camera ? strdup(wanted->camera) : NULL,
                  .height = wanted->height,
                  .fps = wanted->fps };
    b->looks = l;
    if (l->device && (l->camera || !wanted->camera))
        return l;
    look_free(l);
    return NULL;
}

static Viewer *viewer_new(Look *l, Request *c)
{
    Viewer *v = calloc(1, sizeof(*v));

    if (!v && !l->viewers)
        look_free(l);
    if (!v)
        return NULL;
    *v = (Viewer) {
        .look = l, .next = l->viewers, .request = c, .person = strdup(request_person(c)), .token = strdup(c->token_hash)
    };
    l->viewers = v;
    if (v->person && v->token)
        return v;
    viewer_free(v);
    return NULL;
}

/* What takes no part in a stream that is there needs one of the box's; the others are for people who log in. */
static int check_bounds(const BoxCameras *b, const Look *wanted, const char *person, Error *err)
{
    const char *device = wanted->device;
    size_t of_person = 0, of_device = 0, streams = 0;

    for (const Look *l = b->looks; l; l = l->next) {
        streams += str_equal(l->device, device);
        for (const Viewer *v = l->viewers; v; v = v->next) {
            of_person += str_equal(v->person, person);
            of_device += str_equal(l->device, device);
        }
    }
    if (of_person >= VIEWERS_OF_PERSON_MAX)
        return error_set(err, EAGAIN, "camera.busy", "%s looks at %d cameras already: end one of them", person,
                         VIEWERS_OF_PERSON_MAX);
    if (of_device >= VIEWERS_OF_DEVICE_MAX)
        return error_set(err, EAGAIN, "camera.busy", "%d people look at cameras of %s already", VIEWERS_OF_DEVICE_MAX,
                         device);
    if (streams >= CAMERA_STREAMS_MAX && !find(b, wanted))
        return error_set(err, EAGAIN, "camera.busy", "%d pictures of %s are on their way already: try again later",
                         CAMERA_STREAMS_MAX, device);
    return 0;
}

static void on_silence(Request *c, const void *news _unused_)
{
    _cleanup_(error_done) Error err = {};

    request_fail(c, error_set(&err, ETIMEDOUT, "device.timeout", "no picture has come from %s in time", c->args[0]),
                 &err);
}

static int start(Look *l, const char *person, Error *err)
{
    const CameraAsk ask = {
        .device = l->device,
        .person = person,
        .list = l->kind == LOOK_LIST,
        .camera = l->camera,
        .height = l->height,
        .fps = l->fps,
    };

    return l->flow ? 0 : camera_flow_open(l->owner->conns, &ask, &flow_events, l, &l->flow, err);
}

static void look(Request *c, const Look *wanted)
{
    BoxCameras *b = c->module;
    _cleanup_(error_done) Error err = {};
    Look *l = NULL;
    int r = device_registry_has_device(b->registry, wanted->device)
                ? check_bounds(b, wanted, request_person(c), &err)
                : error_set(&err, ENOENT, "device.not-found", "there is no device \"%s\" here", wanted->device);

    if (r >= 0) {
        l = find(b, wanted);
        l = l ? l : look_new(b, wanted);
        Viewer *v = l ? viewer_new(l, c) : NULL;
        r = v ? 0 : -ENOMEM;
        c->scratch = v;
        c->scratch_free = on_request_gone;
    }
    if (r >= 0)
        r = start(l, request_person(c), &err);
    if (r >= 0)
        adapt(l); /* who comes takes a picture */
    if (r < 0)
        request_fail(c, r, &err);
    else
        request_wait(c, ANSWER_TIMEOUT, on_silence, "camera/%s", c->id);
}

static void get_list(Request *c)
{
    look(c, &(Look) { .kind = LOOK_LIST, .device = c->args[0] });
}

static void get_frame(Request *c)
{
    uint64_t height;

    if (request_query_u64(c, "height", HEIGHT_MAX, 0, &height) >= 0)
        look(c,
             &(Look) { .kind = LOOK_FRAME, .device = c->args[0], .camera = c->args[1], .height = (unsigned) height });
}

static void get_stream(Request *c)
{
    uint64_t height, fps;

    if (request_query_u64(c, "height", HEIGHT_MAX, 0, &height) >= 0 &&
        request_query_u64(c, "fps", FPS_MAX, FPS_USUAL, &fps) >= 0)
        look(c, &(Look) { .kind = LOOK_STREAM,
                          .device = c->args[0],
                          .camera = c->args[1],
                          .height = (unsigned) height,
                          .fps = fps > 0 ? (unsigned) fps : 1 });
}

const Route camera_routes[] = {
    { "GET", "/v1/devices/*/cameras", ACCESS_VIEWER, get_list, "a box's cameras, asked live" },
    { "GET", "/v1/devices/*/cameras/*/frame.jpg", ACCESS_TICKET, get_frame, "one picture" },
    { "GET", "/v1/devices/*/cameras/*/stream.mjpeg", ACCESS_TICKET, get_stream, "pictures that go on" },
    {},
};

/* Nobody looks at a box any more. */
static void end_device(const char *device, const char *id, const char *sentence, void *userdata)
{
    const BoxCameras *b = userdata;
    Look *next;

    for (Look *l = b->looks; l; l = next) {
        _cleanup_(error_done) Error err = { .id = id, .message = strdup(sentence) };
        next = l->next;
        if (str_equal(l->device, device))
            end_look(l, -EACCES, &err);
    }
}

static void on_blocked(const char *device, void *userdata)
{
    end_device(device, "device.blocked", "this device is blocked", userdata);
}

static void on_removed(const char *device, void *userdata)
{
    end_device(device, "device.not-found", "this device was removed", userdata);
}

static const DeviceListener listener = { .on_blocked = on_blocked, .on_removed = on_removed };

static void on_withdrawn(const char *token, void *userdata)
{
    const BoxCameras *b = userdata;
    Look *next_look;

    for (Look *l = b->looks; l; l = next_look) {
        Viewer *next;
        l->busy++;
        for (Viewer *v = l->viewers; v; v = next) {
            next = v->next;
            if (v->http && str_equal(v->token, token))
                viewer_free(v);
        }
        next_look = l->next;
        release(l);
    }
}

BoxCameras *box_cameras_new(Store *store, Requests *requests, DeviceConns *conns, const DeviceRegistry *registry)
{
    BoxCameras *b = calloc(1, sizeof(*b));

    if (!b)
        return NULL;
    *b = (BoxCameras) {
        .store = store, .requests = requests, .conns = conns, .registry = registry, .noted = lately_new(NOTED_FOR)
    };
    b->watch = token_watch_new(store, "those who look at cameras", on_withdrawn, b);
    return b->noted && b->watch && device_conns_listen(conns, &listener, b) >= 0 ? b : box_cameras_free(b);
}

BoxCameras *box_cameras_free(BoxCameras *b)
{
    if (!b)
        return NULL;
    token_watch_free(b->watch);
    while (b->looks) {
        Look *l = b->looks;
        l->busy++;
        while (l->viewers)
            viewer_free(l->viewers);
        release(l);
    }
    lately_free(b->noted);
    free(b);
    return NULL;
}

void box_cameras_sweep(BoxCameras *b)
{
    for (const Look *l = b->looks; l; l = l->next)
        for (const Viewer *v = l->viewers; v; v = v->next)
            if (v->http)
                token_watch_note(b->watch, v->token);
    token_watch_ask(b->watch);
}

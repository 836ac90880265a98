/* SPDX-License-Identifier: MIT */
/* GET /api/lan/cameras, /cameras/frame, /cameras/stream: the box's cameras for guards. They share pictures with each other and with
 * those who look by the tunnel: Frigate is asked once for each camera in each size and rate, and for nothing else. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/http/mjpeg-viewer.h"
#include "secbox/lan/lan-impl.h"

#define VIEWERS_OF_GUARD_MAX 6
#define VIEWERS_MAX 32
/* Pictures in another size, or of another camera: what is left of CAMERA_FEEDS_MAX is for the cloud and for entries. */
#define PICTURES_MAX 8
#define HEIGHT_MAX 1080
#define HEIGHT_USUAL 480
#define STREAM_FPS 5

/* A guard who looks: at one picture that is on its way, or at those that follow each other. */
typedef struct CameraViewer {
    Lan *lan;
    struct CameraViewer *next;
    char *guard, *guard_name, *token, *camera;
    unsigned height, fps;
    CameraView *view;
    LanRequest *q;       /* waits for the one picture */
    MjpegViewer *viewer; /* of those that follow each other */
    uint64_t shown;
} CameraViewer;

static void viewer_free(CameraViewer *l)
{
    CameraViewer **at = &l->lan->viewers;

    while (*at && *at != l)
        at = &(*at)->next;
    if (*at)
        *at = l->next;
    if (l->fps > 0 && l->shown > 0)
        log_info("guard %s has looked at the camera %s: %llu pictures", l->guard_name, l->camera,
                 (unsigned long long) l->shown);
    camera_view_free(l->view);
    mjpeg_viewer_free(l->viewer);
    free(l->guard);
    free(l->guard_name);
    free(l->token);
    free(l->camera);
    free(l);
}

void lan_viewers_free(Lan *lan)
{
    while (lan->viewers)
        viewer_free(lan->viewers);
}

static int status_of(const Error *err)
{
    static const struct {
        const char *id;
        int status;
    } known[] = { { "camera.unknown", 404 },
                  { "camera.off", 409 },
                  { "camera.busy", 429 },
                  { "camera.frigate", 503 },
                  { "camera.no-picture", 422 } };

    for (size_t i = 0; i < ELEMENTSOF(known); i++)
        if (str_equal(error_id(err), known[i].id))
            return known[i].status;
    return 500;
}

/* One picture */

static void request_gone(void *viewer)
{
    viewer_free(viewer);
}

static void on_frame(CameraView *v _unused_, Picture *p, void *userdata)
{
    CameraViewer *l = userdata;

    lan_reply_raw(l->q->exchange, 200, "image/jpeg", (const char *) p->data, p->len, NULL);
    lan_request_free(l->q); /* and the viewer */
}

static void on_frame_end(CameraView *v _unused_, int r, const Error *err, void *userdata)
{
    CameraViewer *l = userdata;

    l->view = NULL; /* it is freed after this */
    lan_fail(l->q, status_of(err), r < 0 ? r : -EIO, err);
}

/* Pictures that follow each other */

static void on_picture(CameraView *v _unused_, Picture *p, void *userdata)
{
    CameraViewer *l = userdata;

    /* whoever has logged out, or is a guard no more, sees nothing from now on */
    if (!guard_session_find(l->lan->sessions, l->token, realtime_usec())) {
        viewer_free(l);
        return;
    }
    l->shown++;
    mjpeg_viewer_show(l->viewer, p);
}

static void on_stream_end(CameraView *v _unused_, int r _unused_, const Error *err _unused_, void *userdata)
{
    CameraViewer *l = userdata;

    l->view = NULL;
    viewer_free(l);
}

static void on_gone(MjpegViewer *v _unused_, void *userdata)
{
    CameraViewer *l = userdata;

    l->viewer = NULL;
    viewer_free(l);
}

static const CameraViewEvents frame_events = { .on_picture = on_frame, .on_end = on_frame_end };
static const CameraViewEvents stream_events = { .on_picture = on_picture, .on_end = on_stream_end };
static const MjpegViewerEvents viewer_events = { .on_gone = on_gone };

static bool is_same_picture(const CameraViewer *a, const CameraViewer *b)
{
    return a->height == b->height && a->fps == b->fps && str_equal(a->camera, b->camera);
}

/* Whether it is one that nobody before it in the list looks at. */
static bool is_first_of_its_kind(const Lan *lan, const CameraViewer *l)
{
    for (const CameraViewer *other = lan->viewers; other && other != l; other = other->next)
        if (is_same_picture(other, l))
            return false;
    return true;
}

static int check_bounds(const Lan *lan, const CameraViewer *new, Error *err)
{
    size_t all = 0, of_guard = 0, pictures = is_first_of_its_kind(lan, new);

    for (const CameraViewer *l = lan->viewers; l; l = l->next) {
        all++;
        of_guard += str_equal(l->guard, new->guard);
        pictures += is_first_of_its_kind(lan, l);
    }
    if (of_guard >= VIEWERS_OF_GUARD_MAX)
        return error_set(err, EBUSY, "camera.busy", "you look at %d pictures already: close one", VIEWERS_OF_GUARD_MAX);
    if (all >= VIEWERS_MAX || pictures > PICTURES_MAX)
        return error_set(err, EBUSY, "camera.busy", "as much as the box takes of its cameras is looked at already");
    return 0;
}

/* The steps of cameras.h that are worth a guard's while, so that few differ. */
static unsigned height_of(uint64_t wanted)
{
    return wanted >= 720 ? 720 : wanted >= HEIGHT_USUAL ? HEIGHT_USUAL : 360;
}

/* NULL: the request was answered. */
static CameraViewer *viewer_new(LanRequest *q, unsigned fps)
{
    _cleanup_(freep) char *camera = http_query(q->exchange, "camera");
    uint64_t height;

    if (!lan_query_number(q, "height", HEIGHT_MAX, HEIGHT_USUAL, &height))
        return NULL;
    if (!q->lan->cameras) {
        lan_refuse(q, 404, "camera.none", "this box has no Frigate: set FRIGATE_URL in secbox.env");
        return NULL;
    }
    if (!camera) {
        lan_refuse(q, 400, "lan.bad-request", "camera must be the name of a camera");
        return NULL;
    }
    CameraViewer *l = calloc(1, sizeof(*l));
    if (l)
        *l = (CameraViewer) { .lan = q->lan,
                              .guard = strdup(q->guard),
                              .guard_name = strdup(q->guard_name),
                              .token = strdup(q->token),
                              .camera = TAKE_PTR(camera),
                              .height = height_of(height),
                              .fps = fps };
    if (l && l->guard && l->guard_name && l->token)
        return l;
    if (l)
        viewer_free(l);
    lan_answer(q, 500, NULL);
    return NULL;
}

/* False: the request was answered, and the viewer freed. */
static bool viewer_begin(LanRequest *q, CameraViewer *l, const CameraViewEvents *events)
{
    const CameraRequest want = { .camera = l->camera, .height = l->height, .fps = l->fps };
    _cleanup_(error_done) Error err = {};
    int r = check_bounds(q->lan, l, &err);

    if (r >= 0)
        r = camera_view_open(q->lan->cameras, &want, events, l, &l->view, &err);
    if (r < 0) {
        viewer_free(l);
        lan_fail(q, status_of(&err), r, &err);
        return false;
    }
    l->next = q->lan->viewers;
    q->lan->viewers = l;
    return true;
}

static void frame_get(LanRequest *q)
{
    CameraViewer *l = viewer_new(q, 0);

    if (!l || !viewer_begin(q, l, &frame_events))
        return;
    l->q = q;
    q->scratch = l;
    q->scratch_free = request_gone;
}

static void stream_get(LanRequest *q)
{
    static const char *const headers[] = { "Cross-Origin-Resource-Policy: same-origin", "Referrer-Policy: no-referrer",
                                           NULL };
    CameraViewer *l = viewer_new(q, STREAM_FPS);

    if (!l || !viewer_begin(q, l, &stream_events))
        return;
    int r = mjpeg_viewer_new(q->exchange, headers, &viewer_events, l, &l->viewer);
    if (r >= 0) {
        lan_request_free(q); /* its exchange has become the viewer's */
        return;
    }
    viewer_free(l);
    if (r == -ENOTCONN)
        lan_refuse(q, 400, "lan.bad-request", "ask by GET, and send nothing behind the request");
    else
        lan_answer(q, 500, NULL);
}

/* The sentence why Frigate is not well is for operators: it may name what a guard cannot mend. */
static int add_cameras(cJSON *body, const Cameras *cameras)
{
    _cleanup_(cJSON_Deletep) cJSON *all = cameras_describe(cameras);
    int r = json_add_string(body, "frigate", json_string(all, "frigate"));

    return r < 0 ? r : json_add_item(body, "cameras", cJSON_DetachItemFromObjectCaseSensitive(all, "cameras"));
}

static void cameras_get(LanRequest *q)
{
    const Cameras *cameras = q->lan->cameras;
    cJSON *body = cJSON_CreateObject();
    int r = !body ? -ENOMEM : cameras ? add_cameras(body, cameras) : json_add_string(body, "frigate", "none");

    if (r >= 0 && !cameras)
        r = json_add_item(body, "cameras", cJSON_CreateArray());
    if (r >= 0)
        r = json_add_string(body, "entry", q->lan->entry_camera);
    if (r < 0) {
        cJSON_Delete(body);
        body = NULL;
    }
    lan_answer(q, 200, body);
}

const LanRoute lan_camera_routes[] = {
    { "GET", "/api/lan/cameras", LAN_GUARDS, cameras_get },
    { "GET", "/api/lan/cameras/frame", LAN_GUARDS, frame_get },
    { "GET", "/api/lan/cameras/stream", LAN_GUARDS, stream_get },
    {},
};

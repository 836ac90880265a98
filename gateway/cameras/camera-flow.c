/* SPDX-License-Identifier: MIT */
#include "gateway/cameras/camera-flow.h"

#include <errno.h>
#include <string.h>

#include "gateway/cameras/camera-tunnel.h"
#include "lib/base/buf.h"
#include "lib/base/lifetime.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/http/mjpeg-viewer.h"

#define WHAT "cameras"

struct CameraFlow {
    MuxStream *stream;
    Buf in;
    size_t owed; /* credit that is held back */
    bool held;
    const CameraFlowEvents *events;
    void *userdata;
    Lifetime life;
};

static void destroy(CameraFlow *f)
{
    buf_done(&f->in);
    free(f);
}

CameraFlow *camera_flow_free(CameraFlow *f)
{
    if (!f || !lifetime_end(&f->life))
        return NULL;
    if (f->stream)
        mux_stream_reset(TAKE_PTR(f->stream), "camera.left");
    if (lifetime_release(&f->life))
        destroy(f);
    return NULL;
}

static void end(CameraFlow *f, int r, const Error *err)
{
    if (f->life.ended)
        return;
    f->events->on_end(f, r, err, f->userdata);
    camera_flow_free(f);
}

/* What the box sends goes to a browser as what it is said to be, so it has to be that. */
static void take_record(CameraFlow *f, const char *data, size_t len)
{
    _cleanup_(cJSON_Deletep) cJSON *o = NULL;
    _cleanup_(error_done) Error err = {};
    int r = 0;

    if (picture_is_jpeg(data, len)) {
        f->events->on_record(f, (const uint8_t *) data, len, f->userdata);
        return;
    }
    if (json_parse_object(data, len, &o, NULL) < 0)
        r = error_set(&err, EBADMSG, "camera.bad-answer", "the box sends what is neither a picture nor a list");
    else if (cJSON_GetObjectItemCaseSensitive(o, "error"))
        r = camera_tunnel_error(cJSON_GetObjectItemCaseSensitive(o, "error"), &err);
    if (r < 0)
        end(f, r, &err);
    else
        f->events->on_record(f, (const uint8_t *) data, len, f->userdata);
}

/* 1: there was one. 0: wait. */
static int next_record(CameraFlow *f)
{
    if (f->in.len < CAMERA_LENGTH_SIZE)
        return 0;
    size_t len = camera_tunnel_length(f->in.data);
    if (len == 0 || len > CAMERA_PICTURE_MAX)
        return -EMSGSIZE;
    if (f->in.len < CAMERA_LENGTH_SIZE + len)
        return 0;
    take_record(f, f->in.data + CAMERA_LENGTH_SIZE, len);
    buf_consume(&f->in, CAMERA_LENGTH_SIZE + len);
    return 1;
}

static void give_credit(CameraFlow *f)
{
    if (!f->stream || f->held)
        return;
    mux_stream_consumed(f->stream, f->owed);
    f->owed = 0;
}

static void on_data(MuxStream *s _unused_, const uint8_t *data, size_t len, void *userdata)
{
    CameraFlow *f = userdata;
    _cleanup_(error_done) Error err = {};

    lifetime_hold(&f->life);
    f->owed += len;
    int r = buf_append(&f->in, data, len);
    while (r >= 0 && !f->life.ended && (r = next_record(f)) > 0)
        ;
    if (r < 0)
        end(f, error_set(&err, EBADMSG, "camera.bad-answer", "the box sends pictures that are too large"), &err);
    else
        give_credit(f);
    if (lifetime_release(&f->life))
        destroy(f);
}

static void on_closed(MuxStream *s _unused_, const char *reason, void *userdata)
{
    CameraFlow *f = userdata;
    _cleanup_(error_done) Error err = {};

    f->stream = NULL;
    end(f, reason ? camera_tunnel_reason(reason, WHAT, &err) : 0, &err);
}

static const MuxStreamEvents stream_events = { .on_data = on_data,
                                               .on_room = camera_tunnel_on_room,
                                               .on_closed = on_closed };

static int ask_box(CameraFlow *f, DeviceConn *conn, const CameraAsk *ask, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *open = cJSON_CreateObject();

    if (!open || json_add_string(open, "target", "camera") < 0 || json_add_string(open, "person", ask->person) < 0 ||
        json_add_string(open, "reason", ask->list ? "asks for cameras" : "looks at a camera") < 0 ||
        (ask->list && json_add_bool(open, "list", true) < 0) ||
        (!ask->list &&
         (json_add_string(open, "camera", ask->camera) < 0 || json_add_int(open, "height", (int) ask->height) < 0 ||
          json_add_int(open, "fps", (int) ask->fps) < 0)))
        return -ENOMEM;
    return camera_tunnel_open(conn, open, &stream_events, f, &f->stream, err);
}

int camera_flow_open(DeviceConns *conns, const CameraAsk *ask, const CameraFlowEvents *events, void *userdata,
                     CameraFlow **ret, Error *err)
{
    DeviceConn *conn;
    int r = camera_tunnel_find(conns, ask->device, WHAT, &conn, err);

    if (r < 0)
        return r;
    CameraFlow *f = calloc(1, sizeof(*f));
    if (!f)
        return -ENOMEM;
    *f = (CameraFlow) { .events = events, .userdata = userdata, .in = BUF_INIT(CAMERA_PICTURE_MAX + MUX_WINDOW_MAX) };
    r = ask_box(f, conn, ask, err);
    if (r < 0)
        destroy(f);
    else
        *ret = f;
    return r;
}

void camera_flow_hold(CameraFlow *f, bool held)
{
    f->held = held;
    give_credit(f);
}

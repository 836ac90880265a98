/* SPDX-License-Identifier: MIT */
#include "gateway/cameras/camera-flow.h"

#include <errno.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/lifetime.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/http/mjpeg-viewer.h"

#define LENGTH_SIZE 4
#define TOO_OLD "this box's secbox is too old to show cameras: update it"

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

/* What the box says is wrong, with the code that its HTTP status comes from. */
static int take_error(const cJSON *o, Error *err)
{
    static const struct {
        const char *id;
        int code;
    } known[] = {
        { "camera.unknown", ENOENT }, { "camera.none", ENOENT },      { "camera.off", EBUSY },
        { "camera.busy", EAGAIN },    { "camera.frigate", ENOTCONN },
    };
    const char *id = json_string(o, "id");
    int code = EBADMSG;

    for (size_t i = 0; i < ELEMENTSOF(known); i++)
        if (str_equal(known[i].id, id))
            code = known[i].code;
    return json_to_error(o, code, err);
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
        r = take_error(cJSON_GetObjectItemCaseSensitive(o, "error"), &err);
    if (r < 0)
        end(f, r, &err);
    else
        f->events->on_record(f, (const uint8_t *) data, len, f->userdata);
}

/* 1: there was one. 0: wait. */
static int next_record(CameraFlow *f)
{
    const uint8_t *at = (const uint8_t *) f->in.data;

    if (f->in.len < LENGTH_SIZE)
        return 0;
    size_t len = (size_t) at[0] << 24 | (size_t) at[1] << 16 | (size_t) at[2] << 8 | at[3];
    if (len == 0 || len > CAMERA_PICTURE_MAX)
        return -EMSGSIZE;
    if (f->in.len < LENGTH_SIZE + len)
        return 0;
    take_record(f, f->in.data + LENGTH_SIZE, len);
    buf_consume(&f->in, LENGTH_SIZE + len);
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

static void on_room(MuxStream *s _unused_, void *userdata _unused_)
{
    /* nothing is written to it */
}

static int reason_to_error(const char *reason, Error *err)
{
    static const struct {
        const char *reason, *id, *sentence;
        int code;
    } known[] = {
        { "bridge.no-target", "camera.unsupported", TOO_OLD, EBADMSG },
        { "stream.no-target", "camera.unsupported", TOO_OLD, EBADMSG },
        { "camera.busy", "camera.busy", "as many people as a box takes look at its cameras already", EAGAIN },
        { "stream.lost", "device.offline", "the box is not connected any more", ENOTCONN },
    };

    for (size_t i = 0; i < ELEMENTSOF(known); i++)
        if (str_equal(known[i].reason, reason))
            return error_set(err, known[i].code, known[i].id, "%s", known[i].sentence);
    return error_set(err, ENOTCONN, "camera.ended", "the box has ended it: %s", reason);
}

static void on_closed(MuxStream *s _unused_, const char *reason, void *userdata)
{
    CameraFlow *f = userdata;
    _cleanup_(error_done) Error err = {};

    f->stream = NULL;
    end(f, reason ? reason_to_error(reason, &err) : 0, &err);
}

static const MuxStreamEvents stream_events = { .on_data = on_data, .on_room = on_room, .on_closed = on_closed };

static int ask_box(CameraFlow *f, DeviceConn *conn, const CameraAsk *ask, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *open = cJSON_CreateObject();
    Mux *m = device_conn_mux(conn);

    if (!m || !open || json_add_string(open, "target", "camera") < 0 ||
        json_add_string(open, "person", ask->person) < 0 ||
        json_add_string(open, "reason", ask->list ? "asks for cameras" : "looks at a camera") < 0 ||
        (ask->list && json_add_bool(open, "list", true) < 0) ||
        (!ask->list &&
         (json_add_string(open, "camera", ask->camera) < 0 || json_add_int(open, "height", (int) ask->height) < 0 ||
          json_add_int(open, "fps", (int) ask->fps) < 0)))
        return -ENOMEM;
    int r = mux_open(m, open, &stream_events, f, &f->stream);
    if (r >= 0)
        mux_stream_finish(f->stream);
    return r == -EMFILE ? error_set(err, EAGAIN, "camera.busy", "the box's tunnel carries as many streams as it can")
                        : r;
}

int camera_flow_open(DeviceConns *conns, const CameraAsk *ask, const CameraFlowEvents *events, void *userdata,
                     CameraFlow **ret, Error *err)
{
    DeviceConn *conn = device_conn_find(conns, ask->device, ROLE_DEVICE);

    if (!conn && device_conn_find(conns, ask->device, ROLE_MGMT))
        return error_set(err, ENOTCONN, "device.offline",
                         "secbox on device %s is not connected, although mgmt-agent is: does it run?", ask->device);
    if (!conn)
        return device_offline_error(ask->device, err);
    if (!device_conn_takes_streams(conn))
        return error_set(err, EBADMSG, "camera.unsupported", TOO_OLD);
    CameraFlow *f = calloc(1, sizeof(*f));
    if (!f)
        return -ENOMEM;
    *f = (CameraFlow) { .events = events, .userdata = userdata, .in = BUF_INIT(CAMERA_PICTURE_MAX + MUX_WINDOW_MAX) };
    int r = ask_box(f, conn, ask, err);
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

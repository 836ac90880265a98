/* SPDX-License-Identifier: MIT */
#include "gateway/cameras/recording-flow.h"

#include <errno.h>
#include <string.h>

#include "gateway/cameras/camera-tunnel.h"
#include "lib/base/buf.h"
#include "lib/base/lifetime.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"

#define HEAD_MAX ((size_t) 16 * 1024)
#define WHAT "recordings"

struct RecordingFlow {
    MuxStream *stream;
    Buf in; /* until the head is whole */
    bool headed;
    const RecordingFlowEvents *events;
    void *userdata;
    Lifetime life;
};

static void destroy(RecordingFlow *f)
{
    buf_done(&f->in);
    free(f);
}

RecordingFlow *recording_flow_free(RecordingFlow *f)
{
    if (!f || !lifetime_end(&f->life))
        return NULL;
    if (f->stream)
        mux_stream_reset(TAKE_PTR(f->stream), "recording.left");
    if (lifetime_release(&f->life))
        destroy(f);
    return NULL;
}

static void end(RecordingFlow *f, int r, const Error *err)
{
    if (f->life.ended)
        return;
    f->events->on_end(f, r, err, f->userdata);
    recording_flow_free(f);
}

static int bad_answer(Error *err)
{
    return error_set(err, EBADMSG, "camera.bad-answer", "the box sends what is no recording");
}

/* What the box says goes to a browser, so it has to be what recordings consist of. */
static bool type_is_known(const char *type)
{
    static const char *const known[] = { "application/vnd.apple.mpegurl",
                                         "video/mp4",
                                         "video/iso.segment",
                                         "video/mp2t",
                                         "text/vtt",
                                         "application/json",
                                         "image/webp" };
    bool found = false;

    for (size_t i = 0; i < ELEMENTSOF(known); i++)
        found = found || str_equal(known[i], type);
    return found;
}

static bool range_is_sound(const char *range)
{
    return !range || (str_starts(range, "bytes ") && strspn(range, "bytes 0123456789-/*") == strlen(range));
}

static int read_head(const cJSON *o, RecordingHead *ret)
{
    uint64_t status = 0;

    *ret = (RecordingHead) { .content_type = json_string(o, "contentType"),
                             .content_range = json_string(o, "contentRange"),
                             .ranges = json_bool(o, "ranges", false) };
    ret->has_length = json_u64(o, "length", &ret->length) >= 0;
    if (json_u64(o, "status", &status) < 0 || (status != 200 && status != 206) || !type_is_known(ret->content_type) ||
        !range_is_sound(ret->content_range) || (ret->has_length && ret->length > INT64_MAX))
        return -EBADMSG;
    ret->status = (int) status;
    return 0;
}

static void take_head(RecordingFlow *f, const char *text, size_t len)
{
    _cleanup_(cJSON_Deletep) cJSON *o = NULL;
    _cleanup_(error_done) Error err = {};
    RecordingHead head;
    const cJSON *error;
    int r = 0;

    f->headed = true;
    if (json_parse_object(text, len, &o, NULL) < 0)
        r = bad_answer(&err);
    else if ((error = cJSON_GetObjectItemCaseSensitive(o, "error")))
        r = camera_tunnel_error(error, &err);
    else if (read_head(o, &head) < 0)
        r = bad_answer(&err);
    if (r < 0)
        end(f, r, &err);
    else
        f->events->on_head(f, &head, f->userdata);
}

/* 1: the head was whole. */
static int find_head(RecordingFlow *f, size_t *ret_len)
{
    if (f->in.len < CAMERA_LENGTH_SIZE)
        return 0;
    *ret_len = camera_tunnel_length(f->in.data);
    if (*ret_len == 0 || *ret_len > HEAD_MAX)
        return -EBADMSG;
    return f->in.len >= CAMERA_LENGTH_SIZE + *ret_len;
}

static void begin(RecordingFlow *f, const uint8_t *data, size_t len)
{
    _cleanup_(error_done) Error err = {};
    size_t head_len = 0;
    int r = buf_append(&f->in, data, len);

    if (r >= 0)
        r = find_head(f, &head_len);
    if (r < 0) {
        end(f, bad_answer(&err), &err);
        return;
    }
    if (r == 0)
        return;
    recording_flow_taken(f, CAMERA_LENGTH_SIZE + head_len);
    take_head(f, f->in.data + CAMERA_LENGTH_SIZE, head_len);
    buf_consume(&f->in, CAMERA_LENGTH_SIZE + head_len);
    if (!f->life.ended && f->in.len > 0)
        f->events->on_data(f, (const uint8_t *) f->in.data, f->in.len, f->userdata);
    if (!f->life.ended)
        buf_done(&f->in);
}

static void on_data(MuxStream *s _unused_, const uint8_t *data, size_t len, void *userdata)
{
    RecordingFlow *f = userdata;

    lifetime_hold(&f->life);
    if (f->headed)
        f->events->on_data(f, data, len, f->userdata);
    else
        begin(f, data, len);
    if (lifetime_release(&f->life))
        destroy(f);
}

static void on_closed(MuxStream *s _unused_, const char *reason, void *userdata)
{
    RecordingFlow *f = userdata;
    _cleanup_(error_done) Error err = {};
    int r = reason ? camera_tunnel_reason(reason, WHAT, &err) : f->headed ? 0 : bad_answer(&err);

    f->stream = NULL;
    end(f, r, &err);
}

static const MuxStreamEvents stream_events = { .on_data = on_data,
                                               .on_room = camera_tunnel_on_room,
                                               .on_closed = on_closed };

static int ask_box(RecordingFlow *f, DeviceConn *conn, const RecordingAsk *ask, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *open = cJSON_CreateObject();

    if (!open || json_add_string(open, "target", "recording") < 0 || json_add_string(open, "person", ask->person) < 0 ||
        json_add_string(open, "reason", "sees a recording") < 0 || json_add_string(open, "camera", ask->camera) < 0 ||
        json_add_string(open, "event", ask->event) < 0 ||
        (!ask->event && (json_add_u64(open, "from", ask->from) < 0 || json_add_u64(open, "until", ask->until) < 0)) ||
        json_add_string(open, "file", ask->file) < 0 || json_add_string(open, "range", ask->range) < 0)
        return -ENOMEM;
    return camera_tunnel_open(conn, open, &stream_events, f, &f->stream, err);
}

int recording_flow_open(DeviceConns *conns, const RecordingAsk *ask, const RecordingFlowEvents *events, void *userdata,
                        RecordingFlow **ret, Error *err)
{
    DeviceConn *conn;
    int r = camera_tunnel_find(conns, ask->device, WHAT, &conn, err);

    if (r < 0)
        return r;
    RecordingFlow *f = calloc(1, sizeof(*f));
    if (!f)
        return -ENOMEM;
    *f = (RecordingFlow) { .events = events, .userdata = userdata, .in = BUF_INIT(HEAD_MAX + MUX_WINDOW_MAX) };
    r = ask_box(f, conn, ask, err);
    if (r < 0)
        destroy(f);
    else
        *ret = f;
    return r;
}

void recording_flow_taken(RecordingFlow *f, size_t len)
{
    if (f->stream)
        mux_stream_consumed(f->stream, len);
}

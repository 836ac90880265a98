/* SPDX-License-Identifier: MIT */
#include "gateway/cameras/camera-tunnel.h"

#include <errno.h>

#include "lib/base/strv.h"
#include "lib/data/json.h"

static int too_old(const char *what, Error *err)
{
    return error_set(err, EBADMSG, "camera.unsupported", "this box's secbox is too old to show %s: update it", what);
}

int camera_tunnel_find(DeviceConns *conns, const char *device, const char *what, DeviceConn **ret, Error *err)
{
    DeviceConn *conn = device_conn_find(conns, device, ROLE_DEVICE);

    if (!conn && device_conn_find(conns, device, ROLE_MGMT))
        return error_set(err, ENOTCONN, "device.offline",
                         "secbox on device %s is not connected, although mgmt-agent is: does it run?", device);
    if (!conn)
        return device_offline_error(device, err);
    if (!device_conn_takes_streams(conn))
        return too_old(what, err);
    *ret = conn;
    return 0;
}

int camera_tunnel_open(DeviceConn *conn, const cJSON *members, const MuxStreamEvents *events, void *userdata,
                       MuxStream **ret, Error *err)
{
    Mux *m = device_conn_mux(conn);
    int r = m ? mux_open(m, members, events, userdata, ret) : -ENOMEM;

    if (r >= 0)
        mux_stream_finish(*ret);
    return r == -EMFILE ? error_set(err, EAGAIN, "camera.busy", "the box's tunnel carries as many streams as it can")
                        : r;
}

void camera_tunnel_on_room(MuxStream *s _unused_, void *userdata _unused_)
{
    /* nothing is written to it */
}

size_t camera_tunnel_length(const void *at)
{
    const uint8_t *b = at;

    return (size_t) b[0] << 24 | (size_t) b[1] << 16 | (size_t) b[2] << 8 | b[3];
}

int camera_tunnel_error(const cJSON *error, Error *err)
{
    static const struct {
        const char *id;
        int code;
    } known[] = {
        { "camera.unknown", ENOENT }, { "camera.none", ENOENT },      { "camera.off", EBUSY },
        { "camera.busy", EAGAIN },    { "camera.frigate", ENOTCONN }, { "camera.no-file", ENOENT },
        { "media.none", ENOENT },     { "media.range", EINVAL },
    };
    const char *id = json_string(error, "id");
    int code = EBADMSG;

    for (size_t i = 0; i < ELEMENTSOF(known); i++)
        if (str_equal(known[i].id, id))
            code = known[i].code;
    return json_to_error(error, code, err);
}

int camera_tunnel_reason(const char *reason, const char *what, Error *err)
{
    static const struct {
        const char *reason, *id, *sentence;
        int code;
    } known[] = {
        { "camera.busy", "camera.busy", "as many people as a box takes look at its cameras already", EAGAIN },
        { "recording.busy", "camera.busy", "as many people as a box takes see its recordings already", EAGAIN },
        { "stream.lost", "device.offline", "the box is not connected any more", ENOTCONN },
    };

    if (str_equal(reason, "bridge.no-target") || str_equal(reason, "stream.no-target"))
        return too_old(what, err);
    for (size_t i = 0; i < ELEMENTSOF(known); i++)
        if (str_equal(known[i].reason, reason))
            return error_set(err, known[i].code, known[i].id, "%s", known[i].sentence);
    return error_set(err, ENOTCONN, "camera.ended", "the box has ended it: %s", reason);
}

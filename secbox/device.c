/* SPDX-License-Identifier: MIT */
#include "secbox/device.h"

#include <errno.h>
#include <string.h>

#include "lib/base/fileio.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/base/redact.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/event/self-check.h"
#include "lib/tunnel/device-tunnel.h"
#include "secbox/authority-watch.h"
#include "secbox/cameras/camera-streams.h"
#include "secbox/media/recording-streams.h"

struct Device {
    const Config *config;
    DataPlane *data;
    HttpClient *http;
    DeviceTunnel *tunnel;
    CameraStreams *cameras;
    RecordingStreams *recordings;
    AuthorityWatch *authorities;
    Alive alive;
    char *state_dir, *last_failure;
};

/* The same failure again is not news. */
static void tell(Device *d, const Error *err, const char *decision)
{
    if (str_equal(d->last_failure, err->message))
        return;
    free(d->last_failure);
    d->last_failure = err->message ? strdup(err->message) : NULL;
    log_failure(LOG_LEVEL_WARNING, NULL, err, -EIO, "%s", decision);
}

static void on_up(DeviceTunnel *t _unused_, const cJSON *welcome _unused_, void *userdata)
{
    Device *d = userdata;
    free(TAKE_PTR(d->last_failure));
    log_notice("device tunnel ready");
    data_plane_tunnel_up(d->data);
}

static void on_message(DeviceTunnel *t _unused_, const cJSON *message, const char *text, void *userdata)
{
    const Device *d = userdata;
    data_plane_take(d->data, message, text);
}

static int send_text(const char *text, size_t len, void *userdata)
{
    const Device *d = userdata;
    return device_tunnel_is_up(d->tunnel) ? tunnel_send(device_tunnel_get(d->tunnel), text, len) : -ENOTCONN;
}

static void on_down(DeviceTunnel *t _unused_, int http_status _unused_, usec_t retry_in, const Error *err,
                    void *userdata)
{
    Device *d = userdata;
    data_plane_tunnel_down(d->data);
    tell(d, err,
         retry_in == USEC_INFINITY ? "device tunnel is down until there is a new token"
                                   : "device tunnel is down and comes back by itself");
}

static void on_no_token(DeviceTunnel *t _unused_, usec_t retry_in, const Error *err, void *userdata)
{
    tell(userdata, err,
         retry_in == USEC_INFINITY
             ? "no device token, and it is not asked for again: correct secbox.env and restart secbox"
             : "no device token yet; it is tried again");
}

static void on_refresh_failed(DeviceTunnel *t _unused_, int r, const Error *err, const char *decision,
                              void *userdata _unused_)
{
    log_failure(LOG_LEVEL_WARNING, NULL, err, r, "%s", decision);
}

static bool on_open(DeviceTunnel *t _unused_, MuxStream *s, const cJSON *open, void *userdata)
{
    const Device *d = userdata;
    const char *target = json_string(open, "target");

    if (str_equal(target, CAMERA_TARGET))
        camera_streams_open(d->cameras, s, open);
    else if (str_equal(target, RECORDING_TARGET))
        recording_streams_open(d->recordings, s, open);
    else
        return false;
    return true;
}

static const DeviceTunnelEvents tunnel_events = {
    .on_open = on_open,
    .on_up = on_up,
    .on_message = on_message,
    .on_down = on_down,
    .on_no_token = on_no_token,
    .on_refresh_failed = on_refresh_failed,
};

static int device_connect(Device *d, sd_event *event, Error *err)
{
    const Config *c = d->config;
    _cleanup_(freep) char *sessions = path_join(c->run_dir, "sessions.json");
    _cleanup_(freep) char *offer = path_join(c->run_dir, KEY_OFFER_NAME);
    const BridgeTarget targets[] = { { .name = "ssh", .host = c->ssh_host, .port = c->ssh_port }, {} };
    const DeviceTunnelOptions options = {
        .role = "device",
        .program = "secbox",
        .cloud_url = c->cloud_url,
        .gateway_url = c->gateway_url,
        .device_id = c->device_id,
        .bootstrap = c->bootstrap,
        .key_offer = offer,
        .ca_file = c->ca_file,
        .state_dir = d->state_dir,
        .sessions_path = sessions,
        .targets = targets,
        .events = &tunnel_events,
        .userdata = d,
    };
    if (!sessions || !offer)
        return error_from_errno(err, -ENOMEM, "cannot start the device tunnel");
    int r = dir_make(d->state_dir, 0700, (uid_t) -1, (gid_t) -1, err);
    if (r >= 0)
        r = http_client_new(event, &d->http, err);
    return r < 0 ? r : device_tunnel_new(event, d->http, &options, &d->tunnel, err);
}

static void on_authorities(const Error *err, int r, void *userdata)
{
    Device *d = userdata;

    if (err) {
        config_tell(err, r);
        tell(d, err, "CLOUD_CA_FILE has changed and is not usable");
        return;
    }
    data_plane_tell_config(d->data);
    free(TAKE_PTR(d->last_failure));
    log_notice("CLOUD_CA_FILE has changed: taken, the next connection goes by it");
    if (!device_tunnel_is_up(d->tunnel))
        tunnel_retry(device_tunnel_get(d->tunnel));
}

int device_new(sd_event *event, const Config *config, DataPlane *data, Device **ret, Error *err)
{
    _cleanup_(device_freep) Device *d = calloc(1, sizeof(*d));
    int r;

    if (!d)
        return error_from_errno(err, -ENOMEM, "cannot start the device tunnel");
    d->config = config;
    d->data = data;
    d->state_dir = path_join(config->state_dir, "identity");
    if (!d->state_dir)
        return error_from_errno(err, -ENOMEM, "cannot start the device tunnel");
    if (config->bootstrap)
        redact_add_secret(config->bootstrap);
    d->cameras = camera_streams_new(event, data_plane_cameras(data), config->camera_kbit);
    d->recordings = recording_streams_new(event, data_plane_cameras(data), data_plane_media_bound(data));
    if (!d->cameras || !d->recordings)
        return error_from_errno(err, -ENOMEM, "cannot start the device tunnel");
    r = authority_watch_new(event, config, on_authorities, d, &d->authorities, err);
    if (r >= 0)
        r = device_connect(d, event, err);
    if (r < 0)
        return r;
    data_plane_set_send(data, send_text, d);
    *ret = TAKE_PTR(d);
    return 0;
}

int device_is_alive(void *device)
{
    Device *d = device;

    return alive_still(&d->alive) && !device_tunnel_is_overdue(d->tunnel);
}

Device *device_free(Device *d)
{
    if (!d)
        return NULL;
    authority_watch_free(d->authorities);
    camera_streams_free(d->cameras);
    recording_streams_free(d->recordings);
    device_tunnel_free(d->tunnel);
    loopback_done(&d->alive.loopback);
    http_client_free(d->http);
    free(d->state_dir);
    free(d->last_failure);
    free(d);
    return NULL;
}

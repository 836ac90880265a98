/* SPDX-License-Identifier: MIT */
/* One identity and one tunnel with the role "device". */
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
#include "lib/tunnel/bridge.h"
#include "lib/tunnel/identity.h"
#include "lib/tunnel/message.h"
#include "lib/tunnel/tunnel.h"

#define BOOT_ID_PATH "/proc/sys/kernel/random/boot_id"

struct Device {
    const Config *config;
    HttpClient *http;
    Identity *identity;
    Tunnel *tunnel;
    Bridge *bridge;
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

static cJSON *make_hello(Tunnel *t, void *userdata)
{
    const Device *d = userdata;
    _cleanup_(freep) char *boot_id = NULL;
    _cleanup_(cJSON_Deletep) cJSON *hello = message_new("hello");

    (void) t;
    if (file_read(BOOT_ID_PATH, 64, &boot_id, NULL, NULL) >= 0)
        boot_id[strcspn(boot_id, "\n")] = '\0';
    if (!hello || json_add_string(hello, "deviceId", d->config->device_id) < 0 ||
        json_add_string(hello, "role", "device") < 0 || json_add_string(hello, "program", "secbox") < 0 ||
        json_add_string(hello, "version", SECBOX_VERSION) < 0 ||
        json_add_string(hello, "bootId", boot_id ? boot_id : "unknown") < 0 || json_add_int(hello, "protocol", 1) < 0)
        return NULL;
    return TAKE_PTR(hello);
}

static const char *get_token(Tunnel *t, void *userdata)
{
    const Device *d = userdata;

    (void) t;
    return identity_token(d->identity);
}

static void on_up(Tunnel *t, const cJSON *welcome, void *userdata)
{
    Device *d = userdata;

    (void) t;
    (void) welcome;
    free(TAKE_PTR(d->last_failure));
    log_notice("device tunnel ready");
}

static void answer_probe(Tunnel *t, const char *id)
{
    _cleanup_(cJSON_Deletep) cJSON *answer = message_new("probe.answer");

    if (!answer || json_add_string(answer, "id", id) < 0 || tunnel_send_json(t, answer) < 0)
        log_debug("a probe of the gateway is not answered: no room");
}

static void on_message(Tunnel *t, const cJSON *message, const char *text, void *userdata)
{
    const Device *d = userdata;
    const char *type = json_string(message, "type");
    Error err = {};
    int r = 0;

    (void) text;
    if (str_equal(type, "probe")) {
        answer_probe(t, json_string(message, "id"));
    } else if (str_equal(type, "auth.token")) {
        r = identity_accept_token(d->identity, json_string(message, "token"), &err);
        if (r < 0)
            log_failure(LOG_LEVEL_WARNING, NULL, &err, r, "the token from the gateway is not taken, the present one stays");
    } else if (str_equal(type, "auth.error")) {
        r = json_to_error(cJSON_GetObjectItemCaseSensitive(message, "error"), EACCES, &err);
        log_failure(LOG_LEVEL_WARNING, NULL, &err, r, "the gateway gave no new token; asking over HTTP");
        identity_refused(d->identity);
    }
    error_done(&err);
}

static void on_down(Tunnel *t, int http_status, usec_t retry_in, const Error *err, void *userdata)
{
    Device *d = userdata;

    (void) t;
    tell(d, err, retry_in == USEC_INFINITY ? "device tunnel is down until there is a new token"
                                           : "device tunnel is down and comes back by itself");
    if (http_status == 401 || http_status == 403)
        identity_refused(d->identity);
}

static void on_stream(Tunnel *t, MuxStream *s, const cJSON *open, void *userdata)
{
    const Device *d = userdata;

    (void) t;
    bridge_open(d->bridge, s, open);
}

static const TunnelEvents tunnel_events = {
    .make_hello = make_hello,
    .get_token = get_token,
    .on_up = on_up,
    .on_message = on_message,
    .on_down = on_down,
    .on_stream = on_stream,
};

static void on_token(Identity *i, const char *token, void *userdata)
{
    const Device *d = userdata;

    (void) i;
    redact_add_secret(token);
    if (d->tunnel && !tunnel_is_up(d->tunnel))
        tunnel_retry(d->tunnel);
}

static void on_failure(Identity *i, usec_t retry_in, const Error *err, void *userdata)
{
    (void) i;
    tell(userdata, err,
         retry_in == USEC_INFINITY
             ? "no device token, and it is not asked for again: correct secbox.env and restart secbox"
             : "no device token yet; it is tried again");
}

static int refresh_in_band(Identity *i, void *userdata)
{
    const Device *d = userdata;
    _cleanup_(freep) char *proof = NULL;
    _cleanup_(cJSON_Deletep) cJSON *message = NULL;

    if (!d->tunnel || !tunnel_is_up(d->tunnel))
        return -ENOTCONN;
    proof = identity_make_proof(i, NULL);
    message = message_new("auth.refresh");
    if (!proof || !message || json_add_string(message, "proof", proof) < 0)
        return -ENOMEM;
    return tunnel_send_json(d->tunnel, message);
}

static int open_bridge(Device *d, sd_event *event, Error *err)
{
    const Config *c = d->config;
    _cleanup_(freep) char *sessions = path_join(c->run_dir, "sessions.json");
    const BridgeTarget targets[] = {{.name = "ssh", .host = c->ssh_host, .port = c->ssh_port}, {}};
    const BridgeOptions options = {.program = "secbox", .targets = targets, .sessions_path = sessions};

    return sessions ? bridge_new(event, &options, &d->bridge, err) : -ENOMEM;
}

static int device_connect(Device *d, sd_event *event, Error *err)
{
    const Config *c = d->config;
    const IdentityOptions identity = {
        .role = "device",
        .cloud_url = c->cloud_url,
        .device_id = c->device_id,
        .bootstrap = c->bootstrap,
        .ca_file = c->ca_file,
        .state_dir = d->state_dir,
        .uid = (uid_t) -1,
        .gid = (gid_t) -1,
        .on_token = on_token,
        .on_failure = on_failure,
        .userdata = d,
    };
    const TunnelOptions tunnel = {.url = c->gateway_url, .ca_file = c->ca_file, .events = &tunnel_events, .userdata = d};
    int r = dir_make(d->state_dir, 0700, (uid_t) -1, (gid_t) -1, err);

    if (r < 0)
        return r;
    if ((r = http_client_new(event, &d->http, err)) < 0 ||
        (r = identity_new(event, d->http, &identity, &d->identity, err)) < 0 ||
        (r = open_bridge(d, event, err)) < 0 ||
        (r = tunnel_new(event, &tunnel, &d->tunnel, err)) < 0)
        return r;
    identity_set_inband(d->identity, refresh_in_band, d);
    identity_start(d->identity);
    return 0;
}

int device_new(sd_event *event, const Config *config, Device **ret, Error *err)
{
    _cleanup_(device_freep) Device *d = calloc(1, sizeof(*d));
    int r;

    if (!d)
        return error_from_errno(err, -ENOMEM, "cannot start the device tunnel");
    d->config = config;
    d->state_dir = path_join(config->state_dir, "identity");
    if (!d->state_dir)
        return error_from_errno(err, -ENOMEM, "cannot start the device tunnel");
    if (config->bootstrap)
        redact_add_secret(config->bootstrap);
    r = device_connect(d, event, err);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(d);
    return 0;
}

int device_is_alive(void *device)
{
    Device *d = device;

    return alive_still(&d->alive) && !tunnel_is_overdue(d->tunnel);
}

Device *device_free(Device *d)
{
    if (!d)
        return NULL;
    bridge_free(d->bridge);
    tunnel_free(d->tunnel);
    identity_free(d->identity);
    http_client_free(d->http);
    free(d->state_dir);
    free(d->last_failure);
    free(d);
    return NULL;
}

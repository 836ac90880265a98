/* SPDX-License-Identifier: MIT */
#include "lib/tunnel/device-tunnel.h"

#include <errno.h>
#include <string.h>

#include "lib/base/redact.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/tunnel/audit-mark.h"
#include "lib/tunnel/hello.h"
#include "lib/tunnel/identity.h"
#include "lib/tunnel/message.h"
#include "lib/tunnel/voucher.h"

/* one program of a box is enough */
#define KEEPS_MARK "mgmt"

struct DeviceTunnel {
    cJSON *(*machine)(void *userdata);
    char *device_id, *role, *program;
    char *nonce; /* of the gateway, for this connection; NULL: it gave none */
    Identity *identity;
    Tunnel *tunnel;
    Bridge *bridge;
    AuditMark *mark; /* NULL for roles that do not keep it */
    const DeviceTunnelEvents *events;
    void *userdata;
};

/* The tunnel */

static cJSON *make_hello(Tunnel *t _unused_, void *userdata)
{
    const DeviceTunnel *d = userdata;
    _cleanup_(cJSON_Deletep) cJSON *hello = hello_new(d->device_id, d->role, d->program);
    if (hello && d->mark && json_add_string(hello, "auditHead", audit_mark_get(d->mark)) < 0)
        return NULL;
    return TAKE_PTR(hello);
}

static const char *get_token(Tunnel *t _unused_, void *userdata)
{
    return device_tunnel_token(userdata);
}

static void on_up(Tunnel *t _unused_, const cJSON *welcome, void *userdata)
{
    DeviceTunnel *d = userdata;
    const char *nonce = json_string(welcome, "nonce");
    free(d->nonce);
    d->nonce = nonce ? strdup(nonce) : NULL;
    if (d->mark)
        audit_mark_take(d->mark, welcome);
    d->events->on_up(d, welcome, d->userdata);
}

static void on_down(Tunnel *t _unused_, int http_status, usec_t retry_in, const Error *err, void *userdata)
{
    DeviceTunnel *d = userdata;
    d->events->on_down(d, http_status, retry_in, err, d->userdata);
    if (http_status == 401 || http_status == 403)
        identity_refused(d->identity);
}

static void on_stream(Tunnel *t _unused_, MuxStream *s, const cJSON *open, void *userdata)
{
    DeviceTunnel *d = userdata;
    if (d->events->on_open && d->events->on_open(d, s, open, d->userdata))
        return;
    bridge_open(d->bridge, s, open);
    if (d->events->on_stream && !bridge_is_passive(d->bridge, open))
        d->events->on_stream(d, d->userdata);
}

static void take_token(DeviceTunnel *d, const cJSON *message)
{
    _cleanup_(error_done) Error err = {};
    int r = identity_accept_token(d->identity, json_string(message, "token"), &err);
    if (r < 0)
        d->events->on_refresh_failed(d, r, &err, "the token from the gateway is not taken, the present one stays",
                                     d->userdata);
}

static void take_auth_error(DeviceTunnel *d, const cJSON *message)
{
    _cleanup_(error_done) Error err = {};
    int r = json_to_error(cJSON_GetObjectItemCaseSensitive(message, "error"), EACCES, &err);
    d->events->on_refresh_failed(d, r, &err, "the gateway gave no new token; asking over HTTP", d->userdata);
    identity_refused(d->identity);
}

/* Answered from this loop, whatever else serves the box: the question is whether this tunnel works. A probe without an
 * answer, for want of room, is one more that failed. */
static void answer_probe(DeviceTunnel *d, const cJSON *message)
{
    _cleanup_(cJSON_Deletep) cJSON *answer = message_new("probe.answer");
    if (answer && json_add_string(answer, "id", json_string(message, "id")) >= 0)
        (void) !tunnel_send_json(d->tunnel, answer);
}

static void on_message(Tunnel *t _unused_, const cJSON *message, const char *text, void *userdata)
{
    static const struct {
        const char *type;
        void (*take)(DeviceTunnel *d, const cJSON *message);
    } own[] = { { "auth.token", take_token }, { "auth.error", take_auth_error }, { "probe", answer_probe } };
    DeviceTunnel *d = userdata;
    const char *type = json_string(message, "type");
    for (size_t i = 0; i < ELEMENTSOF(own); i++)
        if (str_equal(own[i].type, type)) {
            own[i].take(d, message);
            return;
        }
    if (d->events->on_message)
        d->events->on_message(d, message, text, d->userdata);
}

static const TunnelEvents tunnel_events = {
    .make_hello = make_hello,
    .get_token = get_token,
    .on_up = on_up,
    .on_message = on_message,
    .on_down = on_down,
    .on_stream = on_stream,
};

/* The identity */

static void on_token(Identity *i _unused_, const char *token, void *userdata)
{
    DeviceTunnel *d = userdata;
    redact_add_secret(token);
    if (d->tunnel && !tunnel_is_up(d->tunnel))
        tunnel_retry(d->tunnel);
    if (d->events->on_token)
        d->events->on_token(d, d->userdata);
}

static void on_failure(Identity *i _unused_, usec_t retry_in, const Error *err, void *userdata)
{
    DeviceTunnel *d = userdata;
    d->events->on_no_token(d, retry_in, err, d->userdata);
}

static int refresh_in_band(Identity *i, void *userdata)
{
    DeviceTunnel *d = userdata;
    _cleanup_(error_done) Error err = {};
    if (!device_tunnel_is_up(d))
        return -ENOTCONN;
    _cleanup_(freep) char *proof = identity_make_proof(i, &err);
    if (!proof) {
        d->events->on_refresh_failed(d, -EIO, &err, "no proof for a new token; asking over HTTP", d->userdata);
        return -EIO;
    }
    _cleanup_(cJSON_Deletep) cJSON *message = message_new("auth.refresh");
    if (!message || json_add_string(message, "proof", proof) < 0)
        return -ENOMEM;
    return tunnel_send_json(d->tunnel, message);
}

static cJSON *machine(void *userdata)
{
    const DeviceTunnel *d = userdata;
    return d->machine(d->userdata);
}

/* Both */

static int connect_parts(DeviceTunnel *d, sd_event *event, HttpClient *http, const DeviceTunnelOptions *o, Error *err)
{
    const IdentityOptions identity = {
        .role = o->role,
        .cloud_url = o->cloud_url,
        .device_id = o->device_id,
        .bootstrap = o->bootstrap,
        .enrolment = o->enrolment,
        .machine = o->machine ? machine : NULL,
        .key_offer = o->key_offer,
        .cloud_key = o->cloud_key,
        .ca_file = o->ca_file,
        .state_dir = o->state_dir,
        .uid = (uid_t) -1,
        .gid = (gid_t) -1,
        .on_token = on_token,
        .on_failure = on_failure,
        .userdata = d,
    };
    const BridgeOptions bridge = { .program = o->program, .targets = o->targets, .sessions_path = o->sessions_path };
    const TunnelOptions tunnel = {
        .url = o->gateway_url, .ca_file = o->ca_file, .events = &tunnel_events, .userdata = d
    };
    int r = identity_new(event, http, &identity, &d->identity, err);
    if (r >= 0)
        r = bridge_new(event, &bridge, &d->bridge, err);
    if (r >= 0)
        r = tunnel_new(event, &tunnel, &d->tunnel, err);
    if (r < 0)
        return r;
    identity_set_inband(d->identity, refresh_in_band, d);
    identity_start(d->identity);
    return 0;
}

int device_tunnel_new(sd_event *event, HttpClient *http, const DeviceTunnelOptions *options, DeviceTunnel **ret,
                      Error *err)
{
    _cleanup_(device_tunnel_freep) DeviceTunnel *d = calloc(1, sizeof(*d));
    if (!d)
        return error_from_errno(err, -ENOMEM, "cannot make the %s tunnel", options->role);
    d->events = options->events;
    d->userdata = options->userdata;
    d->machine = options->machine;
    d->device_id = strdup(options->device_id);
    d->role = strdup(options->role);
    d->program = strdup(options->program);
    if (!d->device_id || !d->role || !d->program)
        return error_from_errno(err, -ENOMEM, "cannot make the %s tunnel", options->role);
    int r = connect_parts(d, event, http, options, err);
    if (r < 0)
        return r;
    /* behind what makes the folder */
    if (str_equal(d->role, KEEPS_MARK) && !(d->mark = audit_mark_new(options->state_dir, options->cloud_url)))
        return error_from_errno(err, -ENOMEM, "cannot make the %s tunnel", options->role);
    *ret = TAKE_PTR(d);
    return 0;
}

DeviceTunnel *device_tunnel_free(DeviceTunnel *d)
{
    if (!d)
        return NULL;
    bridge_free(d->bridge);
    tunnel_free(d->tunnel);
    identity_free(d->identity);
    audit_mark_free(d->mark);
    free(d->device_id);
    free(d->nonce);
    free(d->role);
    free(d->program);
    free(d);
    return NULL;
}

bool device_tunnel_is_up(const DeviceTunnel *d)
{
    return d && d->tunnel && tunnel_is_up(d->tunnel);
}

bool device_tunnel_is_overdue(const DeviceTunnel *d)
{
    return d && d->tunnel && tunnel_is_overdue(d->tunnel);
}

void device_tunnel_show_in(DeviceTunnel *d, const char *sessions_path)
{
    bridge_show_in(d->bridge, sessions_path, d->program);
}

unsigned device_tunnel_sessions(const DeviceTunnel *d)
{
    return d && d->bridge ? bridge_sessions(d->bridge) : 0;
}

const char *device_tunnel_token(const DeviceTunnel *d)
{
    return d && d->identity ? identity_token(d->identity) : NULL;
}

int device_tunnel_vouch(DeviceTunnel *d, const char *device_key, const char *recovery_key)
{
    _cleanup_(cJSON_Deletep) cJSON *m = message_new("keys.vouch"), *key = NULL;
    _cleanup_(freep) char *signature = NULL, *jwk = NULL;
    if (!device_tunnel_is_up(d))
        return -ENOTCONN;
    if (!d->nonce)
        return -EOPNOTSUPP;
    const Voucher v = {
        .nonce = d->nonce, .device = d->device_id, .device_key = device_key, .recovery_key = recovery_key
    };
    int r = voucher_sign(identity_key(d->identity), &v, &signature);
    if (r < 0)
        return r;
    jwk = key_jwk(identity_key(d->identity));
    if (!m || !jwk || json_parse_object(jwk, strlen(jwk), &key, NULL) < 0 ||
        json_add_string(m, "deviceId", d->device_id) < 0 || json_add_string(m, "device", device_key) < 0 ||
        json_add_string(m, "recovery", recovery_key) < 0 || json_add_item(m, "key", TAKE_PTR(key)) < 0 ||
        json_add_string(m, "signature", signature) < 0)
        return -ENOMEM;
    return tunnel_send_json(d->tunnel, m);
}

Tunnel *device_tunnel_get(DeviceTunnel *d)
{
    return d ? d->tunnel : NULL;
}

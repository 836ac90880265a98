/* SPDX-License-Identifier: MIT */
/* A box program's connection to the cloud, as one module: an identity that gets and refreshes its token (in band while
 * the tunnel is up), the tunnel that uses it, the gateway's probes, and the streams that people come in by. */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <systemd/sd-event.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/http/client.h"
#include "lib/tunnel/bridge.h"
#include "lib/tunnel/tunnel.h"

typedef struct DeviceTunnel DeviceTunnel;

typedef struct DeviceTunnelEvents {
    void (*on_up)(DeviceTunnel *d, const cJSON *welcome, void *userdata);
    /* Every message, apart from probes and those about the token. text is the raw line of `message`. */
    void (*on_message)(DeviceTunnel *d, const cJSON *message, const char *text, void *userdata); /* may be NULL */
    /* As in TunnelEvents. After 401 and 403 another token is being fetched. */
    void (*on_down)(DeviceTunnel *d, int http_status, usec_t retry_in, const Error *err, void *userdata);
    void (*on_token)(DeviceTunnel *d, void *userdata); /* may be NULL */
    /* A stream is asked for. True: it was taken, or refused; false: it is for one of the targets. May be NULL. */
    bool (*on_open)(DeviceTunnel *d, MuxStream *s, const cJSON *open, void *userdata);
    void (*on_stream)(DeviceTunnel *d, void *userdata); /* somebody comes in, not by a passive target; may be NULL */
    /* No token could be obtained. retry_in = USEC_INFINITY: the configuration is wrong and is not tried again. */
    void (*on_no_token)(DeviceTunnel *d, usec_t retry_in, const Error *err, void *userdata);
    /* A refresh in band failed; `decision` says what follows, a sentence for the log. */
    void (*on_refresh_failed)(DeviceTunnel *d, int r, const Error *err, const char *decision, void *userdata);
} DeviceTunnelEvents;

typedef struct DeviceTunnelOptions {
    const char *role;    /* "mgmt", "device" */
    const char *program; /* named in hello and in the sessions file */
    const char *cloud_url, *gateway_url, *device_id;
    const char *bootstrap; /* may be NULL once claimed */
    const char *enrolment; /* and the next four: as in IdentityOptions */
    cJSON *(*machine)(void *userdata);
    const char *key_offer;
    const char *cloud_key;
    const char *ca_file;         /* NULL = the system's authorities */
    const char *state_dir;       /* of the identity */
    const char *sessions_path;   /* NULL: device_tunnel_show_in() comes later */
    const BridgeTarget *targets; /* where streams may lead; ends with {}; copied */
    const DeviceTunnelEvents *events;
    void *userdata;
} DeviceTunnelOptions;

/* Checks the configuration and connects from the loop. Strings are copied but for those of `events`. Errors:
 * identity.bad-config and tunnel.bad-url (report, never retry), and what the key's files and the authorities' file say. */
int device_tunnel_new(sd_event *event, HttpClient *http, const DeviceTunnelOptions *options, DeviceTunnel **ret,
                      Error *err) _must_check_;
DeviceTunnel *device_tunnel_free(DeviceTunnel *d);
DEFINE_CLEANUP(DeviceTunnel, device_tunnel_free)

/* All of these take NULL, which counts as down. */
bool device_tunnel_is_up(const DeviceTunnel *d);
bool device_tunnel_is_overdue(const DeviceTunnel *d);
void device_tunnel_show_in(DeviceTunnel *d, const char *sessions_path);
/* People who are in through it now, but for those who only look on. */
unsigned device_tunnel_sessions(const DeviceTunnel *d);
/* The current device token or NULL; borrowed until on_token. */
const char *device_tunnel_token(const DeviceTunnel *d);
/* Names the keys of the box's other roles by this one's (lib/tunnel/voucher.h); NULL: nothing is said of that role. -ENOTCONN;
 * -EOPNOTSUPP where the gateway is too old for it; -EINVAL, -ENOBUFS, -ENOMEM. */
int device_tunnel_vouch(DeviceTunnel *d, const char *device_key, const char *recovery_key) _must_check_;
/* Borrowed: to send through it. */
Tunnel *device_tunnel_get(DeviceTunnel *d);

/* SPDX-License-Identifier: MIT */
/* The object that owns everything the gateway holds: store, server, registry, tunnels, open deployments,
 * requests. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "gateway/devices/device-registry.h"
#include "gateway/store/store.h"
#include "lib/base/map.h"
#include "lib/base/token-bucket.h"
#include "lib/data/key.h"
#include "lib/data/ssh-cert.h"
#include "lib/http/server.h"

typedef struct GatewayOptions {
    const char *listen;    /* ADDRESS:PORT or [ADDRESS]:PORT */
    const char *database;  /* libpq connection string */
    const char *state_dir; /* holds jwt-key.pem and support-ca.pem */
    const char *issuer;    /* public base URL; NULL = from `listen` */
    const char *cert, *key;
    const char *proxy_protocol, *forwarded_for; /* as of HttpServerOptions */
    unsigned token_hours, bootstrap_hours;
    unsigned accept_rate, accept_burst;
} GatewayOptions;

typedef struct Gateway {
    sd_event *event;
    Store *store;
    HttpServer *server;
    Key *key;        /* signs device tokens */
    SshCa *ca;       /* signs the certificates of support staff */
    char *issuer;    /* without a trailing slash */
    bool issuer_set; /* by the configuration: proofs must then name it */
    const char *cert_file, *key_file; /* read again when asked; NULL = plain HTTP */
    usec_t complained; /* of a proxy, last */
    bool issuer_missed; /* it was said that a proxy needs --issuer */
    bool ready;      /* the registry and the open deployments are loaded */
    unsigned loading;
    unsigned token_hours, bootstrap_hours;
    TokenBucket accepts; /* tunnels; see admission.h */
    DeviceRegistry *registry;
    Map *connections; /* every tunnel, by connection id → DeviceConn, owned */
    Map *tunnels;     /* DEVICE/ROLE → DeviceConn after its hello, borrowed */
    Map *challenges;  /* connections whose key is not proved yet, by number → Challenge, owned */
    Map *recoveries;  /* device → what is known of its recovery-agent, owned */
    Map *unsafe_binds; /* device → digest of those that the last alarm named */
    Map *streams;     /* DEVICE/ROLE → BoxStreams, owned */
    Map *operators;   /* connections of operators to boxes, by number → OperatorConn, owned */
    Map *bridges;     /* what such connections carry, by person, box and resume → Operator, owned */
    Map *support_sessions;      /* who is logged in to a box, by session id → SupportSession, owned */
    Map *deployments; /* device → its open Deployment, owned */
    struct Rollouts *rollouts;
    Map *requests;       /* requests that wait for something, by id → Request, owned */
    sd_event_source *sweep, *farewell, *reload;
    uint64_t next_connection;
} Gateway;

int gateway_new(sd_event *event, const GatewayOptions *options, Gateway **ret, Error *err) _must_check_;
Gateway *gateway_free(Gateway *g);
DEFINE_CLEANUP(Gateway, gateway_free)

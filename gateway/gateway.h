/* SPDX-License-Identifier: MIT */
/* Makes the modules and gives each what it needs; loads what the tunnels need, then serves. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"

typedef struct GatewayOptions {
    const char *listen;      /* ADDRESS:PORT or [ADDRESS]:PORT */
    const char *database;    /* libpq connection string */
    const char *state_dir;   /* holds jwt-key.pem, and support-ca.pem for the signer */
    const char *signer;      /* as `socket` of SignerLinkOptions */
    const char *install_dir; /* served below /install/; NULL = nothing is */
    const char *issuer;      /* public base URL; NULL = from `listen` */
    const char *cert, *key;
    const char *proxy_protocol, *forwarded_for; /* as of HttpServerOptions */
    const char *metrics_token;                  /* NULL: /metrics is off */
    unsigned token_hours, bootstrap_hours;
    unsigned accept_rate, accept_burst;
    const char *webhook_ca, *webhook_networks; /* as of WebhooksOptions */
    unsigned webhook_tries;
    unsigned relay_seconds; /* as `seconds` of RelayChecksOptions; 0: boxes are not asked by their relays */
    const char *relay_ca, *relay_networks; /* as of RelayChecksOptions */
    unsigned photo_days, event_days;
    bool two_person; /* as `wanted` of Approvals */
    unsigned keepalive_seconds;
    unsigned bans_behind_minutes, bans_away_hours; /* as of CommunitySyncOptions */
    size_t import_bytes;                           /* of a file in one request */
    const char *oidc_issuer, *oidc_client, *oidc_roles, *oidc_claim, *oidc_name, *oidc_ca; /* as of SignInOptions */
    unsigned oidc_hours;
} GatewayOptions;

typedef struct Gateway Gateway;

int gateway_new(sd_event *event, const GatewayOptions *options, Gateway **ret, Error *err) _must_check_;
Gateway *gateway_free(Gateway *g);
DEFINE_CLEANUP(Gateway, gateway_free)

/* Of the server, which may have chosen it. */
uint16_t gateway_port(const Gateway *g);

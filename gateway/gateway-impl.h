/* SPDX-License-Identifier: MIT */
/* For gateway.c, which puts the gateway together, and gateway-load.c. */
#pragma once

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "gateway/auth/operator-tokens.h"
#include "gateway/cameras/api-camera-tickets.h"
#include "gateway/cameras/box-cameras.h"
#include "gateway/cameras/box-recordings.h"
#include "gateway/communities/api-boxes.h"
#include "gateway/communities/api-import.h"
#include "gateway/communities/box-events.h"
#include "gateway/communities/community-sync.h"
#include "gateway/communities/faces.h"
#include "gateway/communities/media-revocations.h"
#include "gateway/communities/photos.h"
#include "gateway/deployments/api-deployments.h"
#include "gateway/devices/api-devices.h"
#include "gateway/devices/claim.h"
#include "gateway/devices/config-faults.h"
#include "gateway/devices/device-accept.h"
#include "gateway/devices/device-query.h"
#include "gateway/devices/recovery-reports.h"
#include "gateway/devices/trust-roots.h"
#include "gateway/devices/unnamed-root.h"
#include "gateway/devices/unsafe-binds.h"
#include "gateway/devices/vouchers.h"
#include "gateway/gateway.h"
#include "gateway/gateway-files.h"
#include "gateway/gateway-lease.h"
#include "gateway/health/api-health.h"
#include "gateway/health/api-metrics.h"
#include "gateway/health/relay-checks.h"
#include "gateway/http/approvals.h"
#include "gateway/http/router.h"
#include "gateway/install/install-folder.h"
#include "gateway/rollouts/api-rollouts-start.h"
#include "gateway/rollouts/rollouts.h"
#include "gateway/sessions/api-certificates.h"
#include "gateway/sessions/revocations.h"
#include "gateway/sessions/support-session.h"
#include "gateway/sign-in/api-sign-in.h"
#include "gateway/webhooks/webhooks.h"

struct Gateway {
    sd_event *event;
    Backlog *backlog;
    Store *store, *bulk, *imports; /* the second for what takes long, the third for what takes longest */
    HttpServer *server;
    SignerLink *signer; /* which signs the certificates of support staff */
    char *issuer;       /* public base URL, without a trailing slash */
    bool issuer_set;    /* by the configuration: proofs must then name it */
    bool issuer_missed; /* it was said that a proxy needs --issuer */
    usec_t complained;  /* of a proxy, last */
    bool ready;         /* the registry and the open deployments are loaded */
    unsigned loading;

    Requests *requests;
    OperatorTokens *operator_tokens;
    Router *router;
    InstallFolder *install;
    DeviceRegistry *registry;
    DeviceTokens *tokens;
    DeviceConns *conns;
    Approvals approvals;
    Claims claims;
    Admission admission;
    AuditHead *audit_head;
    DeviceAccept *accept;
    DevicesApi devices_api;
    DeviceQueries queries;
    RecoveryReports *recovery;
    ConfigFaults *config_faults;
    UnsafeBinds *unsafe_binds;
    UnnamedRoots *unnamed_roots;
    HostKeys *host_keys;
    Vouchers *vouchers;
    TrustRoots *trust_roots;
    Deployments *deployments;
    DeploymentsApi deployments_api;
    RolloutsApi rollouts_api;
    Rollouts *rollouts;
    CommunitySync *community_sync;
    BoxEvents *box_events;
    Webhooks *webhooks;
    Photos *photos;
    Bundles *bundles;
    BundleKeys *bundle_keys;
    DeviceHealth *health;
    HealthApi health_api;
    RelayChecks *relay_checks;
    CertificatesApi certificates_api;
    MetricsApi metrics_api;
    CommunityEvents community_events;
    BoxApi box_api;
    ImportApi import_api;
    Revocations *revocations;
    SupportSessions *sessions;
    CameraTicketsApi tickets_api;
    BoxCameras *cameras;
    BoxRecordings *recordings;
    MediaRevocations *media_revocations;
    Faces *faces;
    SignInApi *sign_ins;
    GatewayFiles *files;
    GatewayLease *lease;
    bool stands_by;      /* another gateway serves, which has been said */
    bool withdrawn_told; /* the timer below is armed */
    sd_event_source *sweep, *farewell, *reload, *load_again, *withdrawn;
};

/* The database is there: reads from it what the tunnels need, again and again until it says so. */
void gateway_begin_to_load(Gateway *g);
/* Tells the service manager how it serves, once it does. */
void gateway_tell_status(const Gateway *g);
/* For gateway_lease_ask(): ends this gateway when another one has taken the lease. */
void gateway_on_lease_renewed(int r, const Error *err, void *userdata);

/* gateway-withdrawn.c. Has this session of the database told when somebody withdraws something; on_told of it; and what is done
 * then, and in each round since not every way to the database lets that through. */
void gateway_listen_for_withdrawn(Store *s);
void gateway_on_store_told(Store *s, const char *channel, void *userdata);
void gateway_look_for_withdrawn(Gateway *g);

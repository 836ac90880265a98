/* SPDX-License-Identifier: MIT */
#include "gateway/gateway.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "gateway/auth/audit.h"
#include "gateway/communities/api-communities.h"
#include "gateway/communities/api-passes.h"
#include "gateway/communities/api-recordings.h"
#include "gateway/deployments/api-templates.h"
#include "gateway/devices/api-enrolments.h"
#include "gateway/devices/api-lan-certificate.h"
#include "gateway/devices/api-query.h"
#include "gateway/gateway-impl.h"
#include "gateway/http/api-audit.h"
#include "gateway/http/operator-auth.h"
#include "gateway/listen-address.h"
#include "gateway/rollouts/api-rollouts.h"
#include "gateway/sessions/api-grants.h"
#include "gateway/store/schema.h"
#include "gateway/webhooks/api-webhooks.h"
#include "lib/base/fileio.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/base/tmp-sweep.h"
#include "lib/event/daemon.h"

#define KEY_NAME "jwt-key.pem"
#define BACKLOG_NAME "backlog.jsonl"
#define SWEEP_INTERVAL (10 * USEC_PER_SEC)

static void on_store_up(Store *s, void *userdata)
{
    Gateway *g = userdata;
    log_notice("the database is there");
    gateway_listen_for_withdrawn(s);
    gateway_begin_to_load(g);
}

static void on_store_down(Store *s _unused_, usec_t retry_in, const Error *err, void *userdata _unused_)
{
    service_status("waiting for the database");
    log_failure(LOG_LEVEL_ERROR, NULL, err, -ENOTCONN, "no database, trying again in %llu ms",
                (unsigned long long) (retry_in / USEC_PER_MSEC));
}

static void on_bulk_up(Store *s _unused_, void *userdata)
{
    Gateway *g = userdata;
    if (g->community_sync)
        community_sync_sweep(g->community_sync);
}

/* What the other connection has said is enough. */
static void on_bulk_down(Store *s _unused_, usec_t retry_in _unused_, const Error *err, void *userdata _unused_)
{
    log_debug("no database for community data: %s", error_message(err, -ENOTCONN));
}

/* Tokens and proofs name the public address; without --issuer the gateway knows only where it listens. */
static void miss_issuer(Gateway *g)
{
    if (g->issuer_set || g->issuer_missed || !http_server_behind_proxy(g->server))
        return;
    g->issuer_missed = true;
    log_warning("requests come through a proxy, but --issuer is not set: tokens say %s, and boxes need new ones "
                "whenever --listen "
                "changes; set --issuer to the URL that boxes use",
                g->issuer);
}

static void on_request(HttpExchange *x, void *userdata)
{
    Gateway *g = userdata;
    Role role;
    miss_issuer(g);
    if (device_accept_path(http_path(x), &role))
        device_accept(g->accept, x, role);
    else if (install_folder_has(http_path(x)))
        install_folder_serve(g->install, x);
    else
        router_handle(g->router, x);
}

static size_t long_body(const HttpExchange *x, void *userdata)
{
    return bundle_body_max(x) + import_body_max(&((const Gateway *) userdata)->import_api, x);
}

static void on_bad_proxy(const Error *err, void *userdata)
{
    Gateway *g = userdata;
    if (g->complained && boottime_usec() - g->complained < USEC_PER_MINUTE)
        return;
    g->complained = boottime_usec();
    log_failure(LOG_LEVEL_WARNING, NULL, err, -EBADMSG, "a connection from a proxy was closed");
}

static int on_reload(sd_event_source *source _unused_, const struct signalfd_siginfo *si _unused_, void *userdata)
{
    Gateway *g = userdata;
    if (g->ready)
        service_reloading();
    gateway_files_renew(g->files);
    gateway_tell_status(g);
    return 0;
}

static void on_file_changed(void *userdata)
{
    gateway_tell_status(userdata);
}

static int on_sweep(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    Gateway *g = userdata;
    if (g->ready && store_is_up(g->store)) {
        if (!gateway_lease_asks(g->lease) && gateway_lease_ask(g->lease, gateway_on_lease_renewed, g) < 0)
            log_debug("the lease is renewed later");
        backlog_go_on(g->backlog);
        audit_head_sweep(g->audit_head);
        approvals_sweep(&g->approvals);
        deployments_sweep(g->deployments);
        device_conns_sweep(g->conns);
        rollouts_sweep(g->rollouts);
        gateway_look_for_withdrawn(g);
        community_sync_sweep(g->community_sync);
        box_events_sweep(g->box_events);
        webhooks_sweep(g->webhooks);
        photos_sweep(g->photos);
        media_revocations_sweep(g->media_revocations);
        bundles_sweep(g->bundles);
        bundle_keys_sweep(g->bundle_keys);
        host_keys_sweep(g->host_keys);
        vouchers_sweep(g->vouchers);
    }
    return timer_arm(g->event, &g->sweep, SWEEP_INTERVAL, on_sweep, g);
}

static int on_ending(sd_event_source *source _unused_, void *userdata)
{
    Gateway *g = userdata;
    support_sessions_end_all(g->sessions, "gateway.restart", "the gateway restarts: log in again");
    operators_farewell(support_sessions_operators(g->sessions));
    device_accept_farewell(g->accept);
    return 0;
}

static int gateway_open_server(Gateway *g, const GatewayOptions *o, Error *err)
{
    char address[LISTEN_ADDRESS_SIZE];
    HttpServerOptions options = {
        .address = address,
        .cert_file = o->cert,
        .key_file = o->key,
        .proxy_protocol = o->proxy_protocol,
        .forwarded_for = o->forwarded_for,
        .max_connections = GATEWAY_CONNECTIONS_MAX,
        .max_strangers = GATEWAY_STRANGERS_MAX,
        .head_first = true,
        .on_bad_proxy = on_bad_proxy,
        .long_body = long_body,
        .handler = on_request,
        .userdata = g,
    };
    int r = listen_address_parse(o->listen, address, &options.port, err);
    if (r < 0)
        return r;
    if (!o->cert != !o->key)
        return error_set(err, EINVAL, "config.tls", "--cert and --key are given together or not at all");
    r = http_server_new(g->event, &options, &g->server, err);
    if (r < 0)
        return r;
    g->issuer_set = o->issuer != NULL;
    if (o->issuer)
        g->issuer = strdup(o->issuer);
    else
        g->issuer = str_format(strchr(address, ':') ? "%s://[%s]:%u" : "%s://%s:%u", o->cert ? "https" : "http",
                               address, http_server_port(g->server));
    if (!g->issuer)
        return error_from_errno(err, -ENOMEM, "opening the server");
    for (size_t len = strlen(g->issuer); len > 0 && g->issuer[len - 1] == '/'; len--)
        g->issuer[len - 1] = '\0';
    return 0;
}

static int load_key_of(const char *state_dir, Key **ret_key, Error *err)
{
    _cleanup_(freep) char *path = path_join(state_dir, KEY_NAME);
    if (!path)
        return error_from_errno(err, -ENOMEM, "loading the signing key");
    int r = dir_make(state_dir, 0700, (uid_t) -1, (gid_t) -1, err);
    if (r >= 0)
        (void) tmp_sweep(state_dir, true);
    return r < 0 ? r : key_load_or_make(path, (uid_t) -1, (gid_t) -1, ret_key, err);
}

static int make_backlog(Gateway *g, const GatewayOptions *o, Error *err)
{
    _cleanup_(freep) char *path = path_join(o->state_dir, BACKLOG_NAME);
    int r = path ? backlog_new(g->store, path, &g->backlog, err) : -ENOMEM;
    if (r >= 0)
        audit_keep(g->store, g->backlog);
    return r;
}

/* Who boxes are, and their tunnels. */
static int make_devices(Gateway *g, const GatewayOptions *o, Error *err)
{
    Key *key = NULL;
    int r = load_key_of(o->state_dir, &key, err);
    if (r < 0)
        return r;
    r = gateway_lease_new(g->store, o->state_dir, key, &g->lease, err);
    if (r >= 0)
        r = make_backlog(g, o, err);
    if (r < 0) {
        key_free(key);
        return r;
    }
    g->registry = device_registry_new();
    const DeviceTokensOptions tokens = { .key = key,
                                         .issuer = g->issuer,
                                         .issuer_is_known = g->issuer_set,
                                         .hours = o->token_hours,
                                         .registry = g->registry };
    g->tokens = device_tokens_new(&tokens);
    g->conns = device_conns_new(g->event, g->store, g->tokens);
    if (!g->registry || !g->tokens || !g->conns)
        return -ENOMEM;
    admission_init(&g->admission, o->accept_rate, o->accept_burst);
    g->claims = (Claims) { g->store, g->registry, g->tokens, g->conns, o->bootstrap_hours };
    g->audit_head = audit_head_new(g->store);
    g->accept = g->audit_head ? device_accept_new(g->event, &g->claims, &g->admission, g->audit_head) : NULL;
    return g->accept ? 0 : -ENOMEM;
}

static void on_events_stored(const char *community, void *userdata)
{
    Gateway *g = userdata;
    webhooks_wake(g->webhooks, community);
}

static int make_photos(Gateway *g, const GatewayOptions *o, Error *err)
{
    _cleanup_(freep) char *folder = path_join(o->state_dir, "photos");
    const PhotosOptions options = { .folder = folder, .days = o->photo_days };
    return folder ? photos_new(g->event, g->store, g->conns, &options, &g->photos, err) : -ENOMEM;
}

static int make_sign_ins(Gateway *g, const GatewayOptions *o, Error *err)
{
    const SignInOptions options = {
        .issuer = o->oidc_issuer,
        .client_id = o->oidc_client,
        .roles = o->oidc_roles,
        .claim = o->oidc_claim,
        .name_claim = o->oidc_name,
        .ca_file = o->oidc_ca,
        .hours = o->oidc_hours,
    };

    return sign_ins_new(g->event, g->requests, &options, &g->sign_ins, err);
}

/* What listens to the boxes; the order matters: a deployment hears of its end before rollouts look at it. */
static int make_listeners(Gateway *g, const GatewayOptions *o)
{
    g->requests = requests_new(g->event, g->store);
    if (!g->requests)
        return -ENOMEM;
    g->queries =
        (DeviceQueries) { g->store, g->conns, g->requests, g->registry, bundles_offer, NULL, bundle_keys_find, NULL };
    if (device_queries_listen(&g->queries) < 0)
        return -ENOMEM;
    g->recovery = recovery_reports_new(g->event, g->store, g->conns);
    g->deployments = deployments_new(g->store, g->requests, g->conns);
    g->config_faults = config_faults_new(g->store, g->conns);
    g->unsafe_binds = unsafe_binds_new(g->store, g->conns);
    g->unnamed_roots = unnamed_roots_new(g->store, g->conns);
    g->host_keys = host_keys_new(g->store, g->conns);
    g->vouchers = vouchers_new(g->store, g->registry, g->conns);
    g->trust_roots = trust_roots_new(g->store, g->conns);
    g->revocations = revocations_new(g->store, g->conns);
    if (!g->recovery || !g->deployments || !g->revocations || !g->config_faults || !g->unsafe_binds ||
        !g->unnamed_roots || !g->host_keys || !g->vouchers || !g->trust_roots)
        return -ENOMEM;
    g->rollouts = rollouts_new(g->event, g->store, g->requests, g->conns, g->deployments);
    g->sessions = support_sessions_new(g->event, g->store, g->backlog, g->conns, g->registry, g->host_keys);
    g->community_sync = community_sync_new(
        g->bulk, g->conns,
        &(CommunitySyncOptions) { o->bans_behind_minutes * USEC_PER_MINUTE, o->bans_away_hours * USEC_PER_HOUR });
    g->box_events =
        box_events_new(g->store, g->requests, g->conns, &(BoxEventsListener) { on_events_stored, g }, o->event_days);
    g->health = device_health_new(g->store, g->conns);
    g->tickets_api = (CameraTicketsApi) { camera_tickets_new(), g->registry };
    if (!g->tickets_api.tickets)
        return -ENOMEM;
    requests_set_tickets(g->requests, camera_ticket_take, &g->tickets_api);
    g->cameras = box_cameras_new(g->store, g->requests, g->conns, g->registry);
    g->recordings = box_recordings_new(g->store, g->conns, g->registry);
    g->media_revocations = media_revocations_new(g->store, g->conns, g->registry);
    g->faces = faces_new(g->store, g->conns, &g->community_events);
    return g->faces && g->rollouts && g->sessions && g->community_sync && g->box_events && g->health && g->cameras &&
                   g->recordings && g->media_revocations
               ? 0
               : -ENOMEM;
}

static int make_bundles(Gateway *g, const GatewayOptions *o, Error *err)
{
    int r = bundles_new(g->event, o->state_dir, g->store, g->requests, g->tokens, &g->bundles, err);
    if (r >= 0)
        r = bundle_keys_new(g->event, o->state_dir, g->requests, g->bundles, &g->bundle_keys, err);
    if (r < 0)
        return r;
    g->queries.offer_userdata = g->bundles;
    g->queries.key_userdata = g->bundle_keys;
    deployments_take_keys(g->deployments, g->bundle_keys);
    return 0;
}

static void on_community_changed(const char *community, const char *epoch, uint64_t version, void *userdata)
{
    Gateway *g = userdata;
    community_sync_changed(g->community_sync, community, epoch, version);
}

static int make_routes(Gateway *g, const GatewayOptions *o)
{
    g->devices_api =
        (DevicesApi) { g->conns, g->registry, g->store, o->bootstrap_hours, g->issuer_set ? g->issuer : NULL };
    g->deployments_api = (DeploymentsApi) { g->deployments, g->registry, g->bundles };
    g->rollouts_api = (RolloutsApi) { g->rollouts, g->bundles };
    g->community_events = (CommunityEvents) { on_community_changed, g };
    g->import_api = (ImportApi) { .store = g->imports, .events = &g->community_events, .body_max = o->import_bytes };
    g->box_api = (BoxApi) { g->community_sync };
    g->certificates_api = (CertificatesApi) { g->signer, g->health };
    g->health_api = (HealthApi) { g->health, g->conns };
    g->metrics_api.health = g->health;
    g->metrics_api.conns = g->conns;
    g->metrics_api.registry = g->registry;
    g->approvals = (Approvals) { .store = g->store, .wanted = o->two_person };
    requests_set_gate(g->requests, approvals_hold, &g->approvals);
    g->operator_tokens = operator_tokens_new(g->event, g->store, operator_tokens_tell, g->requests);
    g->router = g->operator_tokens ? router_new(g->requests, g->operator_tokens) : NULL;
    int r = g->router ? 0 : -ENOMEM;
    const struct {
        const Route *routes;
        void *module;
    } modules[] = {
        { claim_routes, &g->claims },
        { device_routes, &g->devices_api },
        { enrolment_routes, &g->devices_api },
        { query_routes, &g->queries },
        { lan_certificate_routes, &g->queries },
        { deployment_routes, &g->deployments_api },
        { bundle_routes, g->bundles },
        { bundle_key_routes, g->bundle_keys },
        { trust_root_routes, g->trust_roots },
        { template_routes, &g->deployments_api },
        { rollout_routes, g->rollouts },
        { rollout_start_routes, &g->rollouts_api },
        { grant_routes, g->sessions },
        { certificate_routes, &g->certificates_api },
        { camera_routes, g->cameras },
        { camera_ticket_routes, &g->tickets_api },
        { box_recording_routes, g->recordings },
        { operator_routes, support_sessions_operators(g->sessions) },
        { import_routes, &g->import_api },
        { box_event_routes, g->box_events },
        { box_routes, &g->box_api },
        { webhook_routes, g->webhooks },
        { photo_routes, g->photos },
        { face_routes, g->faces },
        { community_routes, &g->community_events },
        { pass_routes, &g->community_events },
        { recording_routes, &g->community_events },
        { media_revocation_routes, g->media_revocations },
        { sign_in_routes, g->sign_ins },
        { health_routes, &g->health_api },
        { metrics_routes, &g->metrics_api },
        { audit_routes, NULL },
        { approval_routes, &g->approvals },
    };
    for (size_t i = 0; i < ELEMENTSOF(modules) && r >= 0; i++)
        r = router_add(g->router, modules[i].routes, modules[i].module);
    return r;
}

int gateway_new(sd_event *event, const GatewayOptions *options, Gateway **ret, Error *err)
{
    static const StoreEvents store_events = { .on_up = on_store_up,
                                              .on_down = on_store_down,
                                              .on_told = gateway_on_store_told };
    static const StoreEvents bulk_events = { .on_up = on_bulk_up, .on_down = on_bulk_down };
    static const StoreEvents import_events = { .on_down = on_bulk_down };
    _cleanup_(gateway_freep) Gateway *g = calloc(1, sizeof(*g));
    if (!g)
        return error_from_errno(err, -ENOMEM, "starting");
    g->event = sd_event_ref(event);
    int r = metrics_api_set_token(&g->metrics_api, options->metrics_token, err);
    if (r >= 0)
        r = store_new(event, options->database, &gateway_schema, &store_events, g, &g->store, err);
    if (r >= 0)
        r = store_new(event, options->database, &gateway_bulk_schema, &bulk_events, g, &g->bulk, err);
    if (r >= 0)
        r = store_new(event, options->database, &gateway_bulk_schema, &import_events, g, &g->imports, err);
    if (r >= 0)
        r = gateway_open_server(g, options, err);
    if (r >= 0)
        r = install_folder_new(options->install_dir, g->issuer_set ? g->issuer : NULL, &g->install, err);
    if (r >= 0)
        r = make_devices(g, options, err);
    if (r >= 0)
        r = webhooks_new(event, g->store,
                         &(WebhooksOptions) { options->webhook_ca, options->webhook_networks, options->webhook_tries },
                         &g->webhooks, err);
    if (r >= 0)
        r = make_listeners(g, options);
    if (r >= 0 && options->relay_seconds > 0)
        r = relay_checks_new(
            event, g->conns, g->health,
            &(RelayChecksOptions) { options->relay_seconds, options->relay_ca, options->relay_networks },
            &g->relay_checks, err);
    if (r >= 0)
        r = make_photos(g, options, err);
    if (r >= 0)
        r = make_bundles(g, options, err);
    if (r >= 0)
        r = make_sign_ins(g, options, err);
    if (r >= 0)
        r = signer_link_new(event, g->requests,
                            &(SignerLinkOptions) { options->signer, options->state_dir, options->database }, &g->signer,
                            err);
    if (r >= 0)
        r = make_routes(g, options);
    if (r >= 0)
        r = timer_arm(event, &g->sweep, SWEEP_INTERVAL, on_sweep, g);
    if (r >= 0)
        r = sd_event_add_exit(event, &g->farewell, on_ending, g);
    if (r >= 0)
        r = gateway_files_new(
            event, &(GatewayFilesOptions) { g->server, g->store, options->cert, options->key, on_file_changed, g },
            &g->files, err);
    if (r >= 0)
        r = sd_event_add_signal(event, &g->reload, SIGHUP | SD_EVENT_SIGNAL_PROCMASK, on_reload, g);
    if (r < 0)
        return error_from_errno(err, r, "starting");
    *ret = TAKE_PTR(g);
    return 0;
}

uint16_t gateway_port(const Gateway *g)
{
    return http_server_port(g->server);
}

/* Each module goes before those that it uses. */
Gateway *gateway_free(Gateway *g)
{
    if (!g)
        return NULL;
    signer_link_free(g->signer);
    requests_free(g->requests);
    router_free(g->router);
    operator_tokens_free(g->operator_tokens);
    box_cameras_free(g->cameras);
    camera_tickets_free(g->tickets_api.tickets);
    box_recordings_free(g->recordings);
    faces_free(g->faces);
    media_revocations_free(g->media_revocations);
    sign_ins_free(g->sign_ins);
    community_sync_free(g->community_sync);
    box_events_free(g->box_events);
    webhooks_free(g->webhooks);
    photos_free(g->photos);
    bundle_keys_free(g->bundle_keys);
    bundles_free(g->bundles);
    relay_checks_free(g->relay_checks);
    device_health_free(g->health);
    rollouts_free(g->rollouts);
    deployments_free(g->deployments);
    support_sessions_free(g->sessions);
    recovery_reports_free(g->recovery);
    config_faults_free(g->config_faults);
    unsafe_binds_free(g->unsafe_binds);
    unnamed_roots_free(g->unnamed_roots);
    host_keys_free(g->host_keys);
    vouchers_free(g->vouchers);
    trust_roots_free(g->trust_roots);
    revocations_free(g->revocations);
    device_accept_free(g->accept);
    audit_head_free(g->audit_head);
    device_conns_free(g->conns);
    device_tokens_free(g->tokens);
    device_registry_free(g->registry);
    http_server_free(g->server);
    install_folder_free(g->install);
    store_free(g->imports);
    store_free(g->bulk);
    audit_keep(NULL, NULL);
    backlog_free(g->backlog);
    gateway_lease_free(g->lease);
    store_free(g->store);
    free(g->issuer);
    gateway_files_free(g->files);
    sd_event_source_disable_unref(g->sweep);
    sd_event_source_disable_unref(g->farewell);
    sd_event_source_disable_unref(g->reload);
    sd_event_source_disable_unref(g->load_again);
    sd_event_source_disable_unref(g->withdrawn);
    sd_event_unref(g->event);
    free(g);
    return NULL;
}

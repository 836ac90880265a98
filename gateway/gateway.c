/* SPDX-License-Identifier: MIT */
/* Puts the parts together: loads what the tunnels need, then serves; loads again whenever the database was
 * away. */
#include "gateway/gateway.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "gateway/devices/admission.h"
#include "gateway/http/api.h"
#include "gateway/devices/device-streams.h"
#include "gateway/devices/challenger.h"
#include "gateway/deployments/deployments.h"
#include "gateway/sessions/operator.h"
#include "gateway/devices/recovery-reports.h"
#include "gateway/rollouts/rollouts.h"
#include "gateway/devices/device-connection.h"
#include "gateway/sessions/support-session.h"
#include "gateway/store/deployments-table.h"
#include "gateway/store/devices-table.h"
#include "gateway/store/rollouts-table.h"
#include "gateway/store/sessions-table.h"
#include "lib/base/fileio.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/base/tmp-sweep.h"
#include "lib/event/daemon.h"

#define KEY_NAME "jwt-key.pem"
#define CA_NAME "support-ca.pem"
#define SWEEP_INTERVAL (10 * USEC_PER_SEC)
#define ADDRESS_SIZE 64

static int load_devices(Gateway *g, const StoreRows *rows)
{
    int r = 0;
    for (size_t i = 0; i < store_rows_count(rows) && r >= 0; i++)
        r = device_registry_put_device(g->registry, store_rows_get(rows, i, 0),
                                store_rows_true(rows, i, 1));
    return r;
}

static int load_keys(Gateway *g, const StoreRows *rows)
{
    int r = 0;
    Role role;
    for (size_t i = 0; i < store_rows_count(rows) && r >= 0; i++)
        if (role_parse(store_rows_get(rows, i, 1), &role) >= 0)
            r = device_registry_put_key(g->registry, store_rows_get(rows, i, 0), role, store_rows_get(rows, i, 2));
    return r;
}

static int load_deployments(Gateway *g, const StoreRows *rows)
{
    int r = deployments_adopt(g, rows, !g->ready);
    if (r >= 0)
        deployments_sweep(g); /* what waited for the store */
    return r;
}

static int load_nothing(Gateway *g _unused_, const StoreRows *rows _unused_)
{
    return 0;
}

/* What the gateway before has left open ended with it. */
static Statement sql_sessions_lost(void)
{
    return sql_sessions_close_all("gateway.lost");
}

static const struct {
    Statement (*sql)(void);
    int (*load)(Gateway *g, const StoreRows *rows);
    bool at_start; /* not again after an outage of the store */
} load_steps[] = {
    { sql_sessions_lost, load_nothing, true },
    { sql_devices_known, load_devices, false },
    { sql_device_keys, load_keys, false },
    { sql_deployments_open, load_deployments, false },
    { sql_rollouts_open, rollouts_adopt, false },
    { sql_rollout_boxes, rollouts_adopt_boxes, false },
};

static void gateway_load(Gateway *g);

static void on_loaded(StoreQuery *q _unused_, int r, const StoreRows *rows, const Error *err, void *userdata)
{
    Gateway *g = userdata;
    if (r >= 0)
        r = load_steps[g->loading].load(g, rows);
    if (r < 0) {
        log_failure(LOG_LEVEL_ERROR, NULL, err, r, "cannot load what the database knows");
        if (r != -ENOTCONN) /* when it is only away, on_up comes again */
            sd_event_exit(g->event, r);
        return;
    }
    g->loading++;
    gateway_load(g);
}

static void gateway_load(Gateway *g)
{
    Error err = {};
    while (g->ready && g->loading < ELEMENTSOF(load_steps) && load_steps[g->loading].at_start)
        g->loading++;
    if (g->loading < ELEMENTSOF(load_steps)) {
        int r = store_query(g->store, load_steps[g->loading].sql(), on_loaded, g, NULL, &err);
        if (r < 0)
            log_failure(LOG_LEVEL_ERROR, NULL, &err, r, "cannot load what the database knows");
        error_done(&err);
        return;
    }
    if (!g->ready)
        log_notice("serving as %s on port %u", g->issuer, http_server_port(g->server));
    g->ready = true;
    rollouts_wake(g);
    support_sessions_sweep(g); /* what waited for the store */
    service_ready("serving");
}

static void on_store_up(Store *s _unused_, void *userdata)
{
    Gateway *g = userdata;
    log_notice("the database is there");
    g->loading = 0;
    gateway_load(g);
}

static void on_store_down(Store *s _unused_, usec_t retry_in, const Error *err, void *userdata _unused_)
{
    service_status("waiting for the database");
    log_failure(LOG_LEVEL_ERROR, NULL, err, -ENOTCONN, "no database, trying again in %llu ms",
                (unsigned long long) (retry_in / USEC_PER_MSEC));
}

/* Tokens and proofs name the public address; without --issuer the gateway knows only where it listens. */
static void miss_issuer(Gateway *g)
{
    if (g->issuer_set || g->issuer_missed || !http_server_behind_proxy(g->server))
        return;
    g->issuer_missed = true;
    log_warning("requests come through a proxy, but --issuer is not set: tokens say %s, and boxes need new ones whenever --listen "
                "changes; set --issuer to the URL that boxes use",
                g->issuer);
}

static void on_request(HttpExchange *x, void *userdata)
{
    miss_issuer(userdata);
    api_handle(userdata, x);
}

static void on_bad_proxy(const Error *err, void *userdata)
{
    Gateway *g = userdata;
    if (g->complained && boottime_usec() - g->complained < USEC_PER_MINUTE)
        return;
    g->complained = boottime_usec();
    log_failure(LOG_LEVEL_WARNING, NULL, err, -EBADMSG, "a connection from a proxy was closed");
}

/* What boxes are connected by stays; the next ones see the new certificate. */
static int on_reload(sd_event_source *source _unused_, const struct signalfd_siginfo *si _unused_, void *userdata)
{
    Gateway *g = userdata;
    _cleanup_(error_done) Error err = {};
    if (g->ready)
        service_reloading();
    int r = g->cert_file ? http_server_renew(g->server, g->cert_file, g->key_file, &err) : 0;
    if (r < 0)
        log_failure(LOG_LEVEL_ERROR, NULL, &err, r, "the certificate stays as it was");
    else if (g->cert_file)
        log_notice("%s was read again", g->cert_file);
    else
        log_notice("there is no --cert, so there is nothing to read again");
    if (g->ready)
        service_ready(r < 0 ? "serving, with the old certificate: the new one is refused" : "serving");
    return 0;
}

static int on_sweep(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    Gateway *g = userdata;
    if (g->ready && store_is_up(g->store)) {
        deployments_sweep(g);
        device_conn_sweep(g);
        rollouts_sweep(g);
        support_sessions_sweep(g);
    }
    return timer_arm(g->event, &g->sweep, SWEEP_INTERVAL, on_sweep, g);
}

static int on_ending(sd_event_source *source _unused_, void *userdata)
{
    support_sessions_end_all(userdata, "gateway.restart", "the gateway restarts: log in again");
    operator_farewell(userdata);
    device_conn_farewell(userdata);
    return 0;
}

/* "ADDRESS:PORT" or "[ADDRESS]:PORT" */
static int parse_listen(const char *listen, char address[static ADDRESS_SIZE], uint16_t *ret_port, Error *err)
{
    uint64_t port;
    const char *colon = strrchr(listen, ':');
    const char *first = listen;
    const char *last = colon;
    if (colon && *first == '[' && colon > first + 1 && colon[-1] == ']') {
        first++;
        last--;
    }
    if (!colon || last <= first || last - first >= ADDRESS_SIZE ||
        str_to_u64(colon + 1, 0, UINT16_MAX, &port) < 0)
        return error_set(err, EINVAL, "config.listen",
                         "--listen %s: give a numeric address and a port, like 0.0.0.0:8443 or [::]:8443",
                         listen);
    memcpy(address, first, (size_t) (last - first));
    address[last - first] = '\0';
    *ret_port = (uint16_t) port;
    return 0;
}

static int gateway_open_server(Gateway *g, const GatewayOptions *o, Error *err)
{
    char address[ADDRESS_SIZE];
    HttpServerOptions options = {
        .address = address,
        .cert_file = o->cert,
        .key_file = o->key,
        .proxy_protocol = o->proxy_protocol,
        .forwarded_for = o->forwarded_for,
        .max_connections = GATEWAY_CONNECTIONS_MAX,
        .on_bad_proxy = on_bad_proxy,
        .handler = on_request,
        .userdata = g,
    };
    int r = parse_listen(o->listen, address, &options.port, err);
    if (r < 0)
        return r;
    if (!o->cert != !o->key)
        return error_set(err, EINVAL, "config.tls", "--cert and --key are given together or not at all");
    r = http_server_new(g->event, &options, &g->server, err);
    if (r < 0)
        return r;
    g->cert_file = o->cert;
    g->key_file = o->key;
    g->issuer_set = o->issuer != NULL;
    if (o->issuer)
        g->issuer = strdup(o->issuer);
    else
        g->issuer = str_format(strchr(address, ':') ? "%s://[%s]:%u" : "%s://%s:%u",
                               o->cert ? "https" : "http", address, http_server_port(g->server));
    if (!g->issuer)
        return error_from_errno(err, -ENOMEM, "opening the server");
    for (size_t len = strlen(g->issuer); len > 0 && g->issuer[len - 1] == '/'; len--)
        g->issuer[len - 1] = '\0';
    return 0;
}

static int gateway_open_keys(Gateway *g, const char *state_dir, Error *err)
{
    _cleanup_(freep) char *path = path_join(state_dir, KEY_NAME), *ca = path_join(state_dir, CA_NAME);
    if (!path || !ca)
        return error_from_errno(err, -ENOMEM, "loading the signing keys");
    int r = dir_make(state_dir, 0700, (uid_t) -1, (gid_t) -1, err);
    if (r >= 0) {
        (void) tmp_sweep(state_dir, true);
        r = key_load_or_make(path, (uid_t) -1, (gid_t) -1, &g->key, err);
    }
    return r < 0 ? r : ssh_ca_load_or_make(ca, &g->ca, err);
}

static int gateway_open_maps(Gateway *g)
{
    g->registry = device_registry_new();
    g->connections = map_new(NULL);
    g->tunnels = map_new(NULL);
    g->challenges = map_new(NULL);
    g->recoveries = map_new(recovery_free);
    g->unsafe_binds = map_new(free);
    g->streams = map_new(box_streams_free);
    g->operators = map_new(NULL);
    g->bridges = map_new(NULL);
    g->support_sessions = map_new(NULL);
    g->deployments = map_new(NULL);
    g->rollouts = rollouts_new(g);
    g->requests = map_new(NULL);
    bool good = g->registry && g->connections && g->tunnels && g->challenges && g->recoveries && g->unsafe_binds && g->streams &&
                g->operators && g->bridges && g->support_sessions && g->deployments && g->rollouts && g->requests;
    return good ? 0 : -ENOMEM;
}

int gateway_new(sd_event *event, const GatewayOptions *options, Gateway **ret, Error *err)
{
    static const StoreEvents store_events = { .on_up = on_store_up, .on_down = on_store_down };
    _cleanup_(gateway_freep) Gateway *g = calloc(1, sizeof(*g));
    if (!g)
        return error_from_errno(err, -ENOMEM, "starting");
    g->event = sd_event_ref(event);
    g->token_hours = options->token_hours;
    g->bootstrap_hours = options->bootstrap_hours;
    admission_init(g, options->accept_rate, options->accept_burst);
    int r = gateway_open_maps(g);
    if (r >= 0)
        r = gateway_open_keys(g, options->state_dir, err);
    if (r >= 0)
        r = gateway_open_server(g, options, err);
    if (r >= 0)
        r = store_new(event, options->database, &store_events, g, &g->store, err);
    if (r >= 0)
        r = timer_arm(event, &g->sweep, SWEEP_INTERVAL, on_sweep, g);
    if (r >= 0)
        r = sd_event_add_exit(event, &g->farewell, on_ending, g);
    if (r >= 0)
        r = sd_event_add_signal(event, &g->reload, SIGHUP | SD_EVENT_SIGNAL_PROCMASK, on_reload, g);
    if (r < 0)
        return error_from_errno(err, r, "starting");
    *ret = TAKE_PTR(g);
    return 0;
}

/* Frees every value of a map whose values take themselves out of it. */
static void free_all(Map *m, void (*free_value)(void *value))
{
    void *value;
    for (size_t i = 0; m && map_next(m, &i, NULL, &value);)
        free_value(value);
    map_free(m);
}

static void free_call(void *value)
{
    request_free(value);
}

static void free_deployment(void *value)
{
    deployment_free(value);
}

static void free_session(void *value)
{
    device_conn_free(value);
}

Gateway *gateway_free(Gateway *g)
{
    if (!g)
        return NULL;
    free_all(g->requests, free_call);
    free_all(g->deployments, free_deployment);
    rollouts_free(g->rollouts);
    free_all(g->challenges, challenge_free);
    free_all(g->support_sessions, support_session_free);
    free_all(g->operators, operator_conn_free);
    free_all(g->bridges, operator_free);
    free_all(g->connections, free_session);
    map_free(g->streams);
    map_free(g->tunnels);
    map_free(g->recoveries);
    map_free(g->unsafe_binds);
    http_server_free(g->server);
    store_free(g->store);
    device_registry_free(g->registry);
    key_free(g->key);
    ssh_ca_free(g->ca);
    free(g->issuer);
    sd_event_source_disable_unref(g->sweep);
    sd_event_source_disable_unref(g->farewell);
    sd_event_source_disable_unref(g->reload);
    sd_event_unref(g->event);
    free(g);
    return NULL;
}

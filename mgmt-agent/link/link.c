/* SPDX-License-Identifier: MIT */
/* Lifecycle of mgmt-link: configuration, identity, tunnel, socket, and what to do when one of them fails. */
#include "mgmt-agent/link/link.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "lib/base/fileio.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/event/daemon.h"
#include "mgmt-agent/link/link-impl.h"

#define MEND_RECHECK (10 * USEC_PER_SEC)
#define MENDING "no management tunnel; it is tried again"
#define STOPPED "no management tunnel; correct the file, it is read again when it changes"

static bool may_mend(const Error *err);

/* the tunnel's side */

/* Not worth a failure: the next time it is tried again. */
void link_keep_config(Link *l)
{
    _cleanup_(error_done) Error err = {};

    if (l->on_kept || l->kept)
        return;
    l->kept = true;
    int r = link_config_keep(&l->config, l->state_dir, &err);
    if (r < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, &err, r, "the configuration that works could not be kept");
}

static void on_tunnel_up(DeviceTunnel *t, const cJSON *welcome, void *userdata)
{
    Link *l = userdata;

    if (t == l->trial)
        link_promote(l);
    link_keep_config(l);
    if (!l->on_kept && !l->next.digest)
        link_tell_config(NULL, 0);
    log_notice("management tunnel is up, connection %s", json_string(welcome, "connection"));
    link_set_fault(l, NULL, 0, NULL);
}

static void on_tunnel_message(DeviceTunnel *t _unused_, const cJSON *message, const char *text, void *userdata)
{
    link_from_cloud(userdata, message, text);
}

static void note_next_try(Link *l, usec_t retry_in)
{
    l->next_try = retry_in == USEC_INFINITY ? 0 : realtime_usec() + retry_in;
}

static void on_tunnel_down(DeviceTunnel *t, int http_status, usec_t retry_in, const Error *err, void *userdata)
{
    Link *l = userdata;

    if (t != l->trial)
        note_next_try(l, retry_in);
    if (t == l->trial)
        link_trial_failed(l, err, -EIO);
    else if (http_status == 401 || http_status == 403)
        link_set_fault(userdata, err, -EACCES, "the gateway refused the token; getting another");
    else if (retry_in == USEC_INFINITY)
        link_set_fault(userdata, err, -EIO,
                       "the management tunnel is down until there is a new token or configuration");
    else
        link_set_fault(userdata, err, -EIO, "the management tunnel is down and comes back by itself");
}

static void on_token(DeviceTunnel *t, void *userdata)
{
    Link *l = userdata;

    if (t == l->tunnel && device_tunnel_is_up(t))
        link_report(l);
}

static void on_no_token(DeviceTunnel *t, usec_t retry_in, const Error *err, void *userdata)
{
    Link *l = userdata;

    if (t != l->trial)
        note_next_try(l, retry_in);
    if (t == l->trial)
        link_trial_failed(l, err, -EIO);
    else if (retry_in == USEC_INFINITY)
        link_stop(userdata, err, -EINVAL);
    else if (device_tunnel_is_up(t)) /* the present token is still good */
        log_failure(LOG_LEVEL_WARNING, NULL, err, -EIO, "no new device token yet; it is tried again");
    else
        link_set_fault(userdata, err, -EIO, "no device token yet; it is tried again");
}

static void on_refresh_failed(DeviceTunnel *t _unused_, int r, const Error *err, const char *decision,
                              void *userdata _unused_)
{
    log_failure(LOG_LEVEL_WARNING, NULL, err, r, "%s", decision);
}

static void on_stream(DeviceTunnel *t, void *userdata)
{
    Link *l = userdata;

    if (t == l->tunnel)
        link_put_off_trial(l);
}

static const DeviceTunnelEvents tunnel_events = {
    .on_up = on_tunnel_up,
    .on_message = on_tunnel_message,
    .on_down = on_tunnel_down,
    .on_token = on_token,
    .on_stream = on_stream,
    .on_no_token = on_no_token,
    .on_refresh_failed = on_refresh_failed,
};

/* the agent's side */

static void on_agent_up(AgentClient *c, void *userdata)
{
    (void) c;
    log_info("connected to mgmt-agent");
    link_greet_agent(userdata);
}

static void on_agent_line(AgentClient *c, const char *line, size_t len, void *userdata)
{
    (void) c;
    link_from_agent(userdata, line, len);
}

static void on_agent_down(AgentClient *c, const Error *err, void *userdata)
{
    (void) c;
    (void) userdata;
    log_failure(LOG_LEVEL_NOTICE, NULL, err, -EIO, "waiting for mgmt-agent");
}

static const AgentEvents agent_events = { .on_up = on_agent_up, .on_line = on_agent_line, .on_down = on_agent_down };

/* configuration */

static void link_read_config(Link *l)
{
    _cleanup_(error_done) Error err = {};
    int r = link_config_load(l->config_path, &l->config, &err);

    if (r < 0) {
        (void) error_copy(&l->fault, &err);
        error_from_errno(&l->fault, r, "cannot read %s", l->config_path);
        return;
    }
    l->configured = true;
    link_hide_secrets(&l->config);
    log_set_field("DEVICE", l->config.device_id);
}

int link_connect(Link *l, const LinkConfig *c, DeviceTunnel **ret, Error *err)
{
    _cleanup_(freep) char *sessions = path_in_root(LINK_SESSIONS_PATH);
    const BridgeTarget targets[] = {
        { .name = "ssh", .host = "127.0.0.1", .port = c->ssh_port },
        { .name = "logs", .dial = link_dial_logs, .userdata = l->agent_socket, .passive = true },
        {}
    };
    const DeviceTunnelOptions options = {
        .role = "mgmt",
        .program = LINK_PROGRAM,
        .cloud_url = c->cloud_url,
        .gateway_url = c->gateway_url,
        .device_id = c->device_id,
        .bootstrap = c->bootstrap,
        .enrolment = c->enrolment,
        .machine = link_machine,
        .cloud_key = c->cloud_key,
        .ca_file = c->ca_file,
        .state_dir = l->state_dir,
        .sessions_path = ret == &l->tunnel ? sessions : NULL, /* one on trial does not take it away */
        .targets = targets,
        .events = &tunnel_events,
        .userdata = l,
    };
    return sessions ? device_tunnel_new(l->event, l->http, &options, ret, err) : -ENOMEM;
}

/* What this box lacks for the moment, as memory, space for the key or the authorities' file, may be there later, when nobody
 * can come by to say so. A value that is wrong stays wrong. */
static bool may_mend(const Error *err)
{
    return !str_equal(error_id(err), "identity.bad-config") && !str_equal(error_id(err), "tunnel.bad-url");
}

void link_try(Link *l)
{
    Error err = {};
    int r;

    l->tunnel = device_tunnel_free(l->tunnel);
    r = link_connect(l, &l->config, &l->tunnel, &err);
    if (r < 0) {
        link_stop(l, &err, r);
    } else {
        l->stopped = false;
        link_report(l);
    }
    error_done(&err);
}

static int on_recheck(sd_event_source *s _unused_, uint64_t usec _unused_, void *userdata)
{
    Link *l = userdata;

    if (l->stopped && l->may_mend)
        link_try(l);
    return 0;
}

void link_stop(Link *l, const Error *err, int r)
{
    l->stopped = true;
    l->may_mend = may_mend(err) && l->configured && !l->tunnel;
    link_set_fault(l, err, r, l->may_mend ? MENDING : STOPPED);
    link_tell_config(err, r);
    if (l->may_mend && timer_arm(l->event, &l->recheck, MEND_RECHECK, on_recheck, l) < 0)
        log_error("no timer: restart mgmt-link after correcting its configuration");
}

void link_forget(Link *l)
{
    _cleanup_(error_done) Error err = {};
    int r = error_set(&err, ENOENT, "link.unpaired",
                      "this box belongs to no cloud: pair it with secboxctl pair, or on its page");

    link_config_forget(l->state_dir);
    if (!l->configured && !l->tunnel)
        return;
    log_notice("the box is no longer paired: the management tunnel ends");
    link_drop_config(l);
    l->tunnel = device_tunnel_free(l->tunnel);
    link_config_done(&l->config);
    l->configured = l->on_kept = l->kept = false;
    l->next_try = 0;
    link_stop(l, &err, r);
    link_watch_files(l);
}

static void on_config_changed(void *userdata)
{
    link_look_again(userdata);
}

static int on_hup(sd_event_source *s _unused_, const struct signalfd_siginfo *si _unused_, void *userdata)
{
    log_notice("SIGHUP: looking at the configuration again");
    link_look_again(userdata);
    return 0;
}

/* lifecycle */

static int prepare_state(Link *l, const LinkOptions *options, Error *err)
{
    _cleanup_(freep) char *run_dir = path_in_root(LINK_RUN_DIR);
    uid_t uid = (uid_t) -1;
    gid_t gid = (gid_t) -1;
    int r;

    if (options->user && (r = link_find_user(options->user, &uid, &gid, err)) < 0)
        return r;
    r = dir_make(l->state_dir, 0700, geteuid() == 0 ? uid : (uid_t) -1, gid, err);
    if (r < 0)
        return r;
    /* under systemd it is there; a tunnel is worth having without it */
    if (!run_dir || dir_make(run_dir, 0700, geteuid() == 0 ? uid : (uid_t) -1, gid, NULL) < 0)
        log_debug("there is no " LINK_RUN_DIR);
    return link_drop_privileges(options->user, uid, gid, err);
}

int link_new(sd_event *event, const LinkOptions *options, Link **ret, Error *err)
{
    _cleanup_(link_freep) Link *l = calloc(1, sizeof(*l));
    int r;

    if (!l)
        return error_from_errno(err, -ENOMEM, "cannot start");
    l->event = sd_event_ref(event);
    l->since = realtime_usec();
    l->agent_socket = options->agent_socket ? strdup(options->agent_socket) : path_in_root(AGENT_SOCKET_PATH);
    l->state_dir = path_in_root(LINK_STATE_DIR);
    l->config_path = link_config_path(&l->config_is_credential);
    l->complained = map_new(NULL);
    if (!l->agent_socket || !l->state_dir || !l->config_path || !l->complained)
        return error_from_errno(err, -ENOMEM, "cannot start");
    r = config_watch_new(event, on_config_changed, l, &l->watch, err);
    if (r < 0)
        return r;
    link_watch_files(l);
    link_read_config(l); /* before the privileges to do so are gone */
    r = prepare_state(l, options, err);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(l);
    return 0;
}

int link_start(Link *l, Error *err)
{
    Error fault = {};
    int r = http_client_new(l->event, &l->http, err);

    if (r >= 0)
        r = sd_event_add_signal(l->event, NULL, SIGHUP | SD_EVENT_SIGNAL_PROCMASK, on_hup, l);
    if (r < 0)
        return error_from_errno(err, r, "cannot start");
    r = agent_client_new(l->event, l->agent_socket, &agent_events, l, &l->agent, err);
    if (r < 0)
        return r;
    service_ready("starting");
    link_follow_addresses(l);
    link_take_kept(l);
    link_watch_files(l);
    if (l->configured) {
        link_try(l);
        if (l->next.digest)
            link_start_trial(l);
        return 0;
    }
    fault = l->fault;
    l->fault = (Error) {};
    link_stop(l, &fault, -EINVAL);
    error_done(&fault);
    return 0;
}

int link_is_alive(void *link)
{
    Link *l = link;

    return alive_still(&l->alive) && !device_tunnel_is_overdue(l->tunnel);
}

Link *link_free(Link *l)
{
    if (!l)
        return NULL;
    device_tunnel_free(l->trial);
    device_tunnel_free(l->tunnel);
    config_watch_free(l->watch);
    loopback_done(&l->alive.loopback);
    link_files_free(l->files);
    http_client_free(l->http);
    agent_client_free(l->agent);
    sd_event_source_disable_unref(l->recheck);
    sd_event_source_disable_unref(l->wait);
    sd_event_source_disable_unref(l->look);
    map_free(l->complained);
    strv_free(l->addresses);
    link_config_done(&l->config);
    link_config_done(&l->next);
    error_done(&l->fault);
    free(l->trial_fault);
    free(l->agent_socket);
    free(l->state_dir);
    free(l->config_path);
    sd_event_unref(l->event);
    free(l);
    return NULL;
}

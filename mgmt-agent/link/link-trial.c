/* SPDX-License-Identifier: MIT */
/* Another configuration gets a tunnel of its own, and takes over once that is up: until then, or for ever, the one that works goes
 * on. So an edit that is wrong cuts nobody off, now or at the next boot. */
#include <errno.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/data/config-fault.h"
#include "lib/event/daemon.h"
#include "mgmt-agent/link/link-impl.h"

#define WAIT_INTERVAL (5 * USEC_PER_SEC)

void link_tell_config(const Error *err, int r)
{
    _cleanup_(freep) char *path = path_in_root(LINK_FAULT_PATH);

    if (path && config_fault_tell(path, LINK_PROGRAM, err, r) < 0)
        log_debug("%s could not be written", path);
}

void link_watch_files(Link *l)
{
    _cleanup_(freep) char *env = path_in_root(AGENT_ENV_PATH);
    _cleanup_(strv_freep) char **paths = NULL;

    if (!env || strv_add(&paths, env) < 0 || (l->config.ca_file && strv_add(&paths, l->config.ca_file) < 0) ||
        (l->next.ca_file && strv_add(&paths, l->next.ca_file) < 0) ||
        config_watch_set(l->watch, (const char *const *) paths) < 0)
        log_error("no memory to watch the configuration: restart mgmt-link after changing it");
}

static void drop_trial(Link *l)
{
    l->trial = device_tunnel_free(l->trial);
    free(TAKE_PTR(l->trial_fault));
}

void link_drop_config(Link *l)
{
    drop_trial(l);
    l->wait = sd_event_source_disable_unref(l->wait);
    l->waits = false;
    link_config_done(&l->next);
}

static void link_trial_end(Link *l)
{
    link_drop_config(l);
    link_watch_files(l);
}

/* The configuration from now on. It is kept, and what was told of the one before is over, once a tunnel comes up with it. */
static void adopt_next(Link *l)
{
    link_config_done(&l->config);
    l->config = l->next;
    l->next = (LinkConfig) {};
    l->configured = true;
    l->on_kept = l->kept = l->stopped = false;
    log_set_field("DEVICE", l->config.device_id);
}

void link_promote(Link *l)
{
    _cleanup_(freep) char *sessions = path_in_root(LINK_SESSIONS_PATH);

    log_notice("the changed configuration works: taken, the tunnel is to %s now", l->next.gateway_url);
    device_tunnel_free(l->tunnel);
    l->tunnel = TAKE_PTR(l->trial);
    if (sessions)
        device_tunnel_show_in(l->tunnel, sessions);
    adopt_next(l);
    link_trial_end(l);
}

void link_trial_failed(Link *l, const Error *err, int r)
{
    _cleanup_(error_done) Error fault = {};

    r = error_set(
        &fault, -r, "config.unreachable",
        "with the changed configuration the gateway at %s is not reached (%s); the tunnel to %s goes on: correct "
        "mgmt-agent.env or what it names",
        l->next.gateway_url, error_message(err, r), l->config.gateway_url);
    if (str_equal(l->trial_fault, fault.message))
        return;
    free(l->trial_fault);
    l->trial_fault = fault.message ? strdup(fault.message) : NULL;
    link_tell_config(&fault, r);
    log_failure(LOG_LEVEL_WARNING, NULL, &fault, r, "the changed configuration does not work yet");
}

static int on_wait(sd_event_source *s _unused_, uint64_t usec _unused_, void *userdata)
{
    link_start_trial(userdata);
    return 0;
}

static void try_in(Link *l, usec_t delay)
{
    if (timer_arm(l->event, &l->wait, delay, on_wait, l) < 0)
        log_error("no timer: restart mgmt-link, its configuration has changed");
}

/* Nobody is thrown out: the people who are in would lose what they do. Who reads a log loses nothing, and asks again. */
static bool somebody_is_in(Link *l)
{
    _cleanup_(error_done) Error fault = {};
    unsigned n = device_tunnel_sessions(l->tunnel);

    if (n == 0) {
        l->waits = false;
        return false;
    }
    int r =
        error_set(&fault, EAGAIN, CONFIG_WAITS,
                  "the changed configuration is taken when the last of %u sessions through this tunnel has ended", n);
    if (!l->waits) {
        link_tell_config(&fault, r);
        log_notice("%s", fault.message);
    }
    l->waits = true;
    try_in(l, WAIT_INTERVAL);
    return true;
}

void link_start_trial(Link *l)
{
    _cleanup_(error_done) Error err = {};

    if (somebody_is_in(l))
        return;
    l->wait = sd_event_source_disable_unref(l->wait);
    int r = config_check_ca_file(l->next.ca_file, LINK_PROGRAM, &err);
    if (r >= 0)
        r = link_connect(l, &l->next, &l->trial, &err);
    if (r < 0)
        link_trial_failed(l, &err, r);
    if (r < 0)
        try_in(l, USEC_PER_MINUTE);
}

void link_put_off_trial(Link *l)
{
    if (!l->trial)
        return;
    drop_trial(l);
    try_in(l, WAIT_INTERVAL);
}

/* Takes over what is in `c`. */
static void consider(Link *l, LinkConfig *c)
{
    if (str_equal(c->digest, l->next.digest)) {
        link_config_done(c);
        return;
    }
    link_drop_config(l);
    if (!l->tunnel || !str_equal(c->digest, l->config.digest)) {
        link_hide_secrets(c);
        l->next = *c;
        *c = (LinkConfig) {};
    } else {
        link_config_done(&l->config); /* another text that comes to the same */
        l->config = *c;
        *c = (LinkConfig) {};
        l->on_kept = l->kept = false;
        if (device_tunnel_is_up(l->tunnel))
            link_keep_config(l);
        link_tell_config(NULL, 0);
    }
    link_watch_files(l);
    if (!l->next.digest && l->stopped)
        link_try(l); /* nothing is other here, but what it came to grief on may be */
    if (!l->next.digest)
        return;
    if (l->tunnel) {
        log_notice("the configuration has changed: it gets a tunnel of its own, which takes over when it is up");
        link_start_trial(l);
        return;
    }
    adopt_next(l);
    log_notice("the configuration has changed: taken");
    link_try(l);
}

static void take(Link *l, LinkConfig *c, const Error *err, int r)
{
    if (r >= 0) {
        consider(l, c);
        return;
    }
    link_drop_config(l);
    if (!l->tunnel) {
        link_stop(l, err, r);
        return;
    }
    link_tell_config(err, r);
    log_failure(LOG_LEVEL_ERROR, NULL, err, r, "the changed configuration is refused; the one before goes on");
}

void link_take_text(Link *l, const char *text)
{
    _cleanup_(error_done) Error err = {};
    LinkConfig c = {};

    take(l, &c, &err, link_config_parse(text, AGENT_ENV_PATH, &c, &err));
}

/* mgmt-agent.env itself where we may read it; else mgmt-agent hands it over. */
void link_look_again(Link *l)
{
    _cleanup_(error_done) Error err = {};
    LinkConfig c = {};
    const char *last = l->next.text ? l->next.text : l->config.text;

    if (!l->config_is_credential && access(l->config_path, R_OK) == 0) {
        take(l, &c, &err, link_config_load(l->config_path, &c, &err));
        return;
    }
    if (last && !l->on_kept && link_config_parse(last, AGENT_ENV_PATH, &c, NULL) >= 0)
        consider(l, &c); /* the authorities that it names may be others */
    if (agent_client_is_up(l->agent)) {
        link_greet_agent(l);
    } else if (!l->tunnel && l->config_is_credential) {
        /* the service manager holds the file for us and hands it out anew at a start */
        log_notice("the configuration has changed: ending, to be started again with it");
        (void) sd_event_exit(l->event, 1);
    }
}

void link_take_kept(Link *l)
{
    _cleanup_(error_done) Error err = {};
    LinkConfig kept = {};

    if (link_config_load_kept(l->state_dir, &kept, &err) < 0)
        return;
    if (l->configured && str_equal(kept.digest, l->config.digest)) {
        link_config_done(&kept);
        return;
    }
    if (l->configured) {
        l->next = l->config;
        log_notice("the configuration is not the one that worked last: it is tried beside that");
    } else {
        link_tell_config(&l->fault, -EINVAL);
        log_failure(LOG_LEVEL_ERROR, NULL, &l->fault, -EINVAL,
                    "the configuration is not usable: going on with the one that worked last");
        error_done(&l->fault);
    }
    l->config = kept;
    l->configured = true;
    l->on_kept = true;
    link_hide_secrets(&l->config);
    log_set_field("DEVICE", l->config.device_id);
}

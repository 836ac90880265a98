/* SPDX-License-Identifier: MIT */
#include "relay-client/cloudflare/cloudflared.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "lib/base/encode.h"
#include "lib/base/fileio.h"
#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "lib/event/backoff.h"
#include "lib/event/daemon.h"
#include "lib/event/process.h"
#include "relay-client/cloudflare/cloudflared-answers.h"
#include "relay-client/cloudflare/internet-probe.h"
#include "relay-client/cloudflare/loopback-get.h"

#define PROGRAM_DEFAULT "/usr/bin/cloudflared"
#define EXIT_OF_BAD_USAGE 255
/* A restart of relay-client has to be over within five seconds, open visitors or not. */
#define GRACE "2s"
#define KILL_AFTER (3 * USEC_PER_SEC)
#define LIFETIME (3650 * USEC_PER_DAY)
#define POLL_SOON USEC_PER_SEC
#define POLL_USEC (5 * USEC_PER_SEC)
/* Times TUNNEL_HEARTBEAT_TIMEOUT without a connection: then it is started anew. */
#define UNREADY_TIMES 3
#define STABLE_USEC (10 * USEC_PER_MINUTE)

struct Cloudflared {
    sd_event *event;
    const RelaySettings *settings;
    RelayReport *report;
    Process *child;
    LoopbackRequest *get;
    InternetProbe *probe;
    sd_event_source *timer; /* until the next look, or the next start */
    Backoff backoff;
    const char *program;
    usec_t unready_since, ready_since; /* one of them is 0 */
    uint16_t port;
    bool is_stopping;
    bool is_hung; /* and is being ended for it */
    bool knows_name;
};

static int start_child(Cloudflared *c, Error *err);
static int on_look(sd_event_source *source, uint64_t usec, void *userdata);

static int on_restart(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    Cloudflared *c = userdata;
    _cleanup_(error_done) Error err = {};
    int r = start_child(c, &err);

    if (r >= 0)
        return 0;
    relay_report_set(c->report, RELAY_CONNECTING, &err, r);
    return timer_arm(c->event, &c->timer, backoff_next(&c->backoff, random_u64(), 0, 0), on_restart, c);
}

static void look_again(Cloudflared *c, usec_t delay)
{
    if (timer_arm(c->event, &c->timer, delay, on_look, c) < 0)
        log_error("cloudflared is not looked after any more: no memory");
}

/* No longer than what its silence may last. */
static usec_t calm(const Cloudflared *c)
{
    return c->settings->heartbeat_timeout < POLL_USEC ? c->settings->heartbeat_timeout : POLL_USEC;
}

static void on_line(Process *p _unused_, ProcessStream stream _unused_, const char *line, void *userdata _unused_)
{
    log_line(strstr(line, " ERR ") ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, NULL, "cloudflared: %s", line);
}

static void forget_child(Cloudflared *c)
{
    c->child = process_free(c->child);
    c->get = loopback_get_free(c->get);
    c->probe = internet_probe_free(c->probe);
    timer_disarm(c->timer);
    if (c->ready_since)
        backoff_session_ended(&c->backoff, boottime_usec() - c->ready_since);
    c->ready_since = 0;
    c->knows_name = false;
}

static void on_ended(Process *p _unused_, int status, bool timed_out, void *userdata)
{
    Cloudflared *c = userdata;
    _cleanup_(freep) char *how = process_status_string(status, timed_out);
    _cleanup_(error_done) Error err = {};
    bool refused = WIFEXITED(status) && WEXITSTATUS(status) == EXIT_OF_BAD_USAGE, hung = c->is_hung;
    int r;

    forget_child(c);
    c->is_hung = false;
    if (c->is_stopping) {
        (void) sd_event_exit(c->event, 0);
        return;
    }
    if (refused) {
        r = error_set(&err, EACCES, "relay.bad-token",
                      "cloudflared does not take TUNNEL_TOKEN: put the tunnel's token there and restart relay-client; "
                      "its own words are in the log");
        relay_report_set(c->report, RELAY_REFUSED, &err, r);
        return;
    }
    r = hung ? error_set(&err, ETIMEDOUT, "relay.hung", "cloudflared had no connection for long and is started anew")
             : error_set(&err, ECHILD, "relay.cloudflared-ended", "cloudflared ended (%s) and is started again",
                         how ? how : "?");
    relay_report_set(c->report, RELAY_CONNECTING, &err, r);
    if (timer_arm(c->event, &c->timer, backoff_next(&c->backoff, random_u64(), 0, 0), on_restart, c) < 0)
        log_error("cloudflared is not started again: no memory");
}

/* A descriptor that only the child inherits: neither its arguments nor its environment hold the token. */
static int token_descriptor(const char *token, Error *err)
{
    _cleanup_(closep) int fd = memfd_create("tunnel-token", MFD_CLOEXEC);
    int r = fd < 0 ? -errno : fd_write_all(fd, token, strlen(token));

    return r < 0 ? error_from_errno(err, r, "cannot hand the token to cloudflared") : TAKE_FD(fd);
}

/* One that is free now. */
static int free_port(uint16_t *ret)
{
    struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(addr);
    _cleanup_(closep) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, (const struct sockaddr *) &addr, sizeof(addr)) < 0 ||
        getsockname(fd, (struct sockaddr *) &addr, &len) < 0)
        return -errno;
    *ret = ntohs(addr.sin_port);
    return 0;
}

static int spawn(Cloudflared *c, int token, Error *err)
{
    _cleanup_(freep) char *metrics = str_format("127.0.0.1:%u", c->port);
    const char *const argv[] = { c->program, "tunnel", "--no-autoupdate", "--metrics", metrics, "--grace-period", GRACE,
                                 "run",      NULL };
    const char *const env[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/nonexistent", "NO_AUTOUPDATE=true",
                                "TUNNEL_TOKEN_FILE=/proc/self/fd/3", NULL };
    const ProcessSpec spec = {
        .argv = argv,
        .env = env,
        .pass_fds = &token,
        .n_pass_fds = 1,
        .timeout_usec = LIFETIME,
        .kill_after_usec = KILL_AFTER,
        .one_output = true,
        .keep_with_parent = true,
    };

    if (!metrics)
        return error_from_errno(err, -ENOMEM, "cannot start cloudflared");
    return process_spawn(c->event, &spec, on_line, on_ended, c, &c->child, err);
}

static int start_child(Cloudflared *c, Error *err)
{
    _cleanup_(closep) int token = token_descriptor(c->settings->token, err);
    int r = token < 0 ? token : free_port(&c->port);

    if (r >= 0)
        r = spawn(c, token, err);
    if (r < 0)
        return error_from_errno(err, r, "cannot start cloudflared");
    c->unready_since = boottime_usec();
    look_again(c, POLL_SOON);
    return 0;
}

static void on_config(LoopbackRequest *g _unused_, int status _unused_, const char *body, size_t len, void *userdata)
{
    Cloudflared *c = userdata;
    _cleanup_(freep) char *url = cloudflared_public_url(body, len);

    if (url)
        relay_report_set_public_url(c->report, url);
    c->knows_name = url != NULL;
    c->get = loopback_get_free(c->get);
}

static void ask_for_name(Cloudflared *c)
{
    if (c->settings->public_url || c->knows_name || c->get)
        return;
    if (loopback_get_new(c->event, c->port, "/config", on_config, c, &c->get) < 0)
        log_debug("cloudflared is not asked for its public name now");
}

/* It may be the internet that is gone, for which cloudflared is no worse. */
static void on_internet(bool there, void *userdata)
{
    Cloudflared *c = userdata;
    _cleanup_(error_done) Error err = {};
    int r;

    c->probe = internet_probe_free(c->probe);
    if (there) {
        c->is_hung = true;
        process_terminate(c->child);
        return;
    }
    c->unready_since = boottime_usec();
    r = error_set(&err, ENETUNREACH, "relay.no-internet",
                  "the cloud cannot be reached either: the box has no internet");
    relay_report_set(c->report, RELAY_CONNECTING, &err, r);
    look_again(c, calm(c));
}

static void judge_unready(Cloudflared *c, bool answered)
{
    usec_t limit = UNREADY_TIMES * c->settings->heartbeat_timeout, now = boottime_usec();
    _cleanup_(error_done) Error err = {};

    if (c->ready_since) {
        int r = error_set(&err, ENOTCONN, "relay.not-ready", "%s",
                          answered ? "cloudflared has no connection with Cloudflare"
                                   : "cloudflared does not answer on its metrics port");
        c->ready_since = 0;
        c->unready_since = now;
        relay_report_set(c->report, RELAY_CONNECTING, &err, r);
    }
    if (now - c->unready_since < limit) {
        look_again(c, POLL_SOON);
        return;
    }
    if (internet_probe_new(c->event, c->settings->cloud_url, on_internet, c, &c->probe) < 0)
        on_internet(true, c);
}

static void on_ready(LoopbackRequest *g _unused_, int status, const char *body, size_t len, void *userdata)
{
    Cloudflared *c = userdata;
    int n = cloudflared_ready_connections(status, body, len);

    c->get = loopback_get_free(c->get);
    if (n <= 0) {
        judge_unready(c, n == 0);
        return;
    }
    if (!c->ready_since)
        c->ready_since = boottime_usec();
    relay_report_set(c->report, RELAY_CONNECTED, NULL, 0);
    look_again(c, calm(c));
    ask_for_name(c);
}

static int on_look(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    Cloudflared *c = userdata;

    c->get = loopback_get_free(c->get);
    if (loopback_get_new(c->event, c->port, "/ready", on_ready, c, &c->get) < 0)
        look_again(c, calm(c));
    return 0;
}

static int check_program(const char *program, Error *err)
{
    return access(program, X_OK) == 0
               ? 0
               : error_set(err, ENOENT, "relay.no-cloudflared",
                           "there is no program %s: make the image with CLOUDFLARED=PATH, or set CLOUDFLARED_BIN",
                           program);
}

int cloudflared_new(sd_event *event, const RelaySettings *settings, RelayReport *report, Cloudflared **ret, Error *err)
{
    const char *program = getenv("CLOUDFLARED_BIN");
    Cloudflared *c = calloc(1, sizeof(*c));
    int r = c ? cloudflared_check_token(settings->token, err) : -ENOMEM;

    if (r >= 0)
        r = check_program(str_empty(program) ? PROGRAM_DEFAULT : program, err);
    if (r >= 0) {
        c->event = sd_event_ref(event);
        c->settings = settings;
        c->report = report;
        c->program = str_empty(program) ? PROGRAM_DEFAULT : program;
        c->backoff = (Backoff) { USEC_PER_SEC, settings->retry_max, STABLE_USEC, 0 };
        relay_report_set(report, RELAY_CONNECTING, NULL, 0);
        r = start_child(c, err);
    }
    if (r < 0) {
        cloudflared_free(c);
        return error_from_errno(err, r, "cannot run cloudflared");
    }
    *ret = c;
    return 0;
}

bool cloudflared_stop(Cloudflared *c)
{
    c->is_stopping = true;
    if (c->child)
        process_terminate(c->child);
    return c->child != NULL;
}

Cloudflared *cloudflared_free(Cloudflared *c)
{
    if (!c)
        return NULL;
    forget_child(c);
    sd_event_source_disable_unref(c->timer);
    sd_event_unref(c->event);
    free(c);
    return NULL;
}

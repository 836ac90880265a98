/* SPDX-License-Identifier: MIT */
/* ssh-proxy: stdin and stdout joined to a box's sshd by a stream through the gateway. Everything for people goes to stderr. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "gateway/fleet/verb-grants.h"
#include "gateway/fleet/known-hosts.h"
#include "lib/base/encode.h"
#include "lib/base/fileio.h"
#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "lib/base/text.h"
#include "lib/event/daemon.h"
#include "lib/tunnel/hello.h"
#include "lib/tunnel/message.h"
#include "lib/mux/pump.h"
#include "lib/cli/report.h"
#include "lib/tunnel/tunnel.h"

#define RESUME_BYTES 32
#define GOODBYE_STEP (5 * USEC_PER_MSEC)
#define GOODBYE_MAX (2 * USEC_PER_SEC)

typedef struct Proxy {
    Fleet *fleet;
    sd_event *event;
    Tunnel *tunnel;
    MuxStream *stream; /* until the pump has it */
    MuxPump *pump;
    sd_event_source *timer, *hangup;
    const char *device;
    char *grant, *url;
    char *resume; /* secret: goes on with a connection that was lost */
    usec_t goodbye_until;
    bool was_up, lost, told; /* told: the person knows why it ended */
    bool leaving;
    int exit_code;
} Proxy;

static void proxy_done(Proxy *p)
{
    p->pump = mux_pump_free(p->pump, "operator.left");
    tunnel_free(p->tunnel);
    sd_event_source_disable_unref(p->timer);
    sd_event_source_disable_unref(p->hangup);
    sd_event_unref(p->event);
    secret_free(p->resume);
    free(p->grant);
    free(p->url);
}

static void say(const char *text)
{
    _cleanup_(freep) char *printable = text_printable(text);
    fprintf(stderr, "%s: %s\n", PROGRAM, printable ? printable : "out of memory");
}

static void finish(Proxy *p, int exit_code)
{
    if (p->exit_code == EXIT_OK)
        p->exit_code = exit_code;
    sd_event_exit(p->event, 0);
}

static int fail(Proxy *p, const Error *err, int r, int exit_code)
{
    report_failure(PROGRAM, false, err, r, exit_code);
    p->told = true;
    finish(p, exit_code);
    return exit_code;
}

static cJSON *make_hello(Tunnel *t _unused_, void *userdata)
{
    const Proxy *p = userdata;
    _cleanup_(cJSON_Deletep) cJSON *hello = hello_new(p->device, "operator", PROGRAM);

    if (!hello || json_add_string(hello, "resume", p->resume) < 0)
        return NULL;
    return TAKE_PTR(hello);
}

static const char *get_token(Tunnel *t _unused_, void *userdata)
{
    const Proxy *p = userdata;
    return p->fleet->api.token;
}

/* Gives the connection time to say what it still has to say; then a closing handshake, so that all of it arrives. */
static int on_goodbye(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    Proxy *p = userdata;
    Mux *m = tunnel_mux(p->tunnel);

    if (!tunnel_is_up(p->tunnel) || p->leaving || boottime_usec() >= p->goodbye_until) {
        finish(p, EXIT_OK);
    } else if (!m || !mux_is_sendable(m)) {
        p->leaving = true;
        tunnel_cycle(p->tunnel);
        if (timer_arm(p->event, &p->timer, GOODBYE_MAX, on_goodbye, p) < 0)
            finish(p, EXIT_OK);
    } else if (timer_arm(p->event, &p->timer, GOODBYE_STEP, on_goodbye, p) < 0) {
        finish(p, EXIT_OK);
    }
    return 0;
}

static void say_goodbye(Proxy *p, int exit_code)
{
    if (p->exit_code == EXIT_OK)
        p->exit_code = exit_code;
    p->goodbye_until = boottime_usec() + GOODBYE_MAX;
    if (timer_arm(p->event, &p->timer, 0, on_goodbye, p) < 0)
        finish(p, exit_code);
}

static void on_pump_done(MuxPump *pump _unused_, const char *reason, void *userdata)
{
    Proxy *p = userdata;
    bool left = str_equal(reason, "local.closed"); /* ssh has hung up: nothing to tell anybody */

    if (reason && !left && !p->told) {
        _cleanup_(freep) char *text = str_format("the session has ended: %s", reason);
        say(text ? text : reason);
    }
    p->pump = mux_pump_free(p->pump, reason);
    say_goodbye(p, reason && !left ? EXIT_FAILED : EXIT_OK);
}

static void on_closed(MuxStream *s _unused_, const char *reason, void *userdata)
{
    Proxy *p = userdata;
    p->stream = NULL;
    on_pump_done(NULL, reason, p);
}

static void ignore_data(MuxStream *s _unused_, const uint8_t *data _unused_, size_t len _unused_,
                        void *userdata _unused_)
{
}

static void ignore_room(MuxStream *s _unused_, void *userdata _unused_)
{
}

/* Only until the pump takes over, in the same breath. */
static const MuxStreamEvents opening_events = { .on_data = ignore_data,
                                                .on_room = ignore_room,
                                                .on_closed = on_closed };

static int open_stream(Proxy *p)
{
    _cleanup_(cJSON_Deletep) cJSON *open = cJSON_CreateObject();
    const MuxPumpOptions options = { .in = STDIN_FILENO, .out = STDOUT_FILENO, .on_done = on_pump_done, .userdata = p };
    Mux *m = tunnel_mux(p->tunnel);

    if (!m || !open || json_add_string(open, "target", "ssh") < 0 || json_add_string(open, "grant", p->grant) < 0 ||
        json_add_string(open, "way", p->fleet->way ? p->fleet->way : "auto") < 0)
        return -ENOMEM;
    int r = mux_open(m, open, &opening_events, p, &p->stream);
    if (r < 0)
        return r;
    return mux_pump_new(p->event, TAKE_PTR(p->stream), false, &options, &p->pump);
}

static void on_up(Tunnel *t _unused_, const cJSON *welcome _unused_, void *userdata)
{
    Proxy *p = userdata;

    if (p->lost)
        say("the gateway is back, the session goes on");
    p->lost = false;
    if (p->was_up)
        return;
    p->was_up = true;
    int r = open_stream(p);
    if (r < 0)
        fail(p, NULL, r, EXIT_FAILED);
}

/* What to type, where there is something. */
static const char *advice(const char *error)
{
    static const struct {
        const char *id, *text;
    } advices[] = {
        { "grant.expired", "ask for a new one: secbox-fleet grants add DEVICE --reason WHY" },
        { "grant.revoked", "ask for a new one: secbox-fleet grants add DEVICE --reason WHY" },
        { "grant.not-found", "see: secbox-fleet grants list" },
        { "bridge.device-full", "see who is in: secbox-fleet sessions DEVICE" },
    };
    for (size_t i = 0; i < ELEMENTSOF(advices); i++)
        if (str_equal(advices[i].id, error))
            return advices[i].text;
    return NULL;
}

static void on_message(Tunnel *t _unused_, const cJSON *message, const char *text _unused_, void *userdata)
{
    Proxy *p = userdata;
    const char *state = json_string(message, "state"), *sentence = json_string(message, "message");
    const char *way = json_string(message, "way"), *more = advice(json_string(message, "error"));

    if (!str_equal(json_string(message, "type"), "bridge.progress"))
        return;
    if (str_equal(state, "open")) {
        known_hosts_use(p->fleet->known_hosts, p->device, str_equal(way, "recovery"));
        if (!str_equal(way, "device"))
            say(sentence ? sentence : "connected");
    } else if (!str_equal(state, "trying") && sentence) {
        say(sentence);
    }
    if (str_equal(state, "refused") || str_equal(state, "ended")) {
        p->told = true;
        p->exit_code = str_equal(json_string(message, "error"), "device.offline") ? EXIT_UNREACHABLE : EXIT_FAILED;
        if (more)
            say(more);
        p->pump = mux_pump_free(p->pump, "operator.left");
        say_goodbye(p, p->exit_code);
    }
}

static void on_down(Tunnel *t _unused_, int http_status, usec_t retry_in, const Error *err, void *userdata)
{
    Proxy *p = userdata;

    if (p->leaving) {
        finish(p, EXIT_OK);
    } else if (!p->was_up || retry_in == USEC_INFINITY) {
        fail(p, err, -EHOSTUNREACH, http_status >= 400 && http_status < 500 ? EXIT_FAILED : EXIT_UNREACHABLE);
    } else if (!p->lost) {
        _cleanup_(freep) char *text =
            str_format("the gateway is lost (%s); the session is kept for %u s", error_message(err, -ECONNRESET),
                       (unsigned) (MUX_GRACE / USEC_PER_SEC));
        say(text ? text : "the gateway is lost");
        p->lost = true;
    }
}

static const TunnelEvents tunnel_events = {
    .make_hello = make_hello,
    .get_token = get_token,
    .on_up = on_up,
    .on_message = on_message,
    .on_down = on_down,
};

/* ssh hangs up on its proxy when it ends. */
static int on_hangup(sd_event_source *source _unused_, const struct signalfd_siginfo *info _unused_, void *userdata)
{
    Proxy *p = userdata;
    p->pump = mux_pump_free(p->pump, "operator.left");
    say_goodbye(p, EXIT_OK);
    return 0;
}

static int watch_hangup(Proxy *p)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return -errno;
    return sd_event_add_signal(p->event, &p->hangup, SIGHUP, on_hangup, p);
}

static int make_resume(Proxy *p)
{
    uint8_t bytes[RESUME_BYTES];
    random_bytes(bytes, sizeof(bytes));
    p->resume = hex_encode(bytes, sizeof(bytes));
    explicit_bzero(bytes, sizeof(bytes));
    return p->resume ? 0 : -ENOMEM;
}

static int proxy_start(Proxy *p, Error *err)
{
    const Api *api = &p->fleet->api;
    _cleanup_(freep) char *path = fleet_device_path(p->device, "/bridge");
    const TunnelOptions options = { .ca_file = api->ca_file, .events = &tunnel_events, .userdata = p };
    TunnelOptions named = options;

    /* http → ws, https → wss */
    p->url = path ? str_format("ws%s%s", api->gateway + strlen("http"), path) : NULL;
    int r = p->url ? make_resume(p) : -ENOMEM;
    if (r >= 0)
        r = service_loop_new(&p->event, err);
    if (r >= 0)
        r = watch_hangup(p);
    named.url = p->url;
    if (r >= 0)
        r = tunnel_new(p->event, &named, &p->tunnel, err);
    return error_from_errno(err, r, "opening a bridge");
}

static int run(Proxy *p)
{
    _cleanup_(api_reply_done) ApiReply reply = {};
    _cleanup_(error_done) Error err = {};

    int r = fleet_begin(p->fleet, &err);
    if (r >= 0)
        r = fleet_grant_find(p->fleet, p->device, &p->grant, &reply, &err);
    if (r < 0)
        return fleet_fail(p->fleet, &reply, &err, r);
    r = proxy_start(p, &err);
    if (r >= 0)
        r = sd_event_loop(p->event);
    if (r < 0)
        return fleet_fail(p->fleet, NULL, &err, r);
    return p->exit_code;
}

int verb_ssh_proxy(int argc _unused_, char **argv, void *userdata)
{
    Proxy p = { .fleet = userdata, .device = argv[0] };

    log_open(PROGRAM);
    int exit_code = run(&p);
    proxy_done(&p);
    return exit_code;
}

/* SPDX-License-Identifier: MIT */
/* See operator-stream.h. */
#include "gateway/fleet/operator-stream.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

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
#define SIGNALS_MAX 4
#define GOODBYE_STEP (5 * USEC_PER_MSEC)
#define GOODBYE_MAX (2 * USEC_PER_SEC)

typedef struct OperatorStream OperatorStream;

struct OperatorStream {
    const OperatorStreamOptions *options;
    sd_event *event;
    Tunnel *tunnel;
    MuxStream *stream; /* until the pump has it */
    MuxPump *pump;
    sd_event_source *timer, *signals[SIGNALS_MAX];
    char *url;
    char *resume; /* secret: goes on with a connection that was lost */
    usec_t goodbye_until;
    bool past_proxy;         /* the proxy led nowhere, and the direct way is tried */
    bool was_up, lost, told; /* told: the person knows why it ended */
    bool leaving, gave_ends;
    int exit_code;
};

static void stream_done(OperatorStream *p)
{
    if (!p->gave_ends) {
        close(p->options->in);
        close(p->options->out);
    }
    p->pump = mux_pump_free(p->pump, "operator.left");
    tunnel_free(p->tunnel);
    sd_event_source_disable_unref(p->timer);
    for (size_t i = 0; i < SIGNALS_MAX; i++)
        sd_event_source_disable_unref(p->signals[i]);
    sd_event_unref(p->event);
    secret_free(p->resume);
    free(p->url);
}

void operator_stream_say(const char *text)
{
    _cleanup_(freep) char *printable = text_printable(text);
    fprintf(stderr, "%s: %s\n", PROGRAM, printable ? printable : "out of memory");
}

static void finish(OperatorStream *p, int exit_code)
{
    if (p->exit_code == EXIT_OK)
        p->exit_code = exit_code;
    sd_event_exit(p->event, 0);
}

static int fail(OperatorStream *p, const Error *err, int r, int exit_code)
{
    report_failure(PROGRAM, false, err, r, exit_code);
    p->told = true;
    finish(p, exit_code);
    return exit_code;
}

static cJSON *make_hello(Tunnel *t _unused_, void *userdata)
{
    const OperatorStream *p = userdata;
    _cleanup_(cJSON_Deletep) cJSON *hello = hello_new(p->options->device, "operator", PROGRAM);

    if (!hello || json_add_string(hello, "resume", p->resume) < 0)
        return NULL;
    return TAKE_PTR(hello);
}

static const char *get_token(Tunnel *t _unused_, void *userdata)
{
    const OperatorStream *p = userdata;
    return p->options->fleet->api.token;
}

/* Gives the connection time to say what it still has to say; then a closing handshake, so that all of it arrives. */
static int on_goodbye(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    OperatorStream *p = userdata;
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

static void say_goodbye(OperatorStream *p, int exit_code)
{
    if (p->exit_code == EXIT_OK)
        p->exit_code = exit_code;
    p->goodbye_until = boottime_usec() + GOODBYE_MAX;
    if (timer_arm(p->event, &p->timer, 0, on_goodbye, p) < 0)
        finish(p, exit_code);
}

static void on_pump_done(MuxPump *pump _unused_, const char *reason, void *userdata)
{
    OperatorStream *p = userdata;
    bool left = str_equal(reason, "local.closed"); /* whoever reads has gone: nothing to tell anybody */

    if (reason && !left && !p->told) {
        _cleanup_(freep) char *text = str_format("the session has ended: %s", reason);
        operator_stream_say(text ? text : reason);
    }
    p->pump = mux_pump_free(p->pump, reason);
    say_goodbye(p, reason && !left ? EXIT_FAILED : EXIT_OK);
}

static void on_closed(MuxStream *s _unused_, const char *reason, void *userdata)
{
    OperatorStream *p = userdata;
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

static int open_stream(OperatorStream *p)
{
    const MuxPumpOptions options = {
        .in = p->options->in, .out = p->options->out, .on_done = on_pump_done, .userdata = p
    };
    Mux *m = tunnel_mux(p->tunnel);

    int r = m ? mux_open(m, p->options->open, &opening_events, p, &p->stream) : -ENOMEM;
    if (r < 0)
        return r;
    p->gave_ends = true;
    return mux_pump_new(p->event, TAKE_PTR(p->stream), false, &options, &p->pump);
}

static void on_up(Tunnel *t _unused_, const cJSON *welcome _unused_, void *userdata)
{
    OperatorStream *p = userdata;

    if (p->lost)
        operator_stream_say("the gateway is back, the session goes on");
    p->lost = false;
    if (p->was_up)
        return;
    p->was_up = true;
    int r = open_stream(p);
    if (r < 0)
        fail(p, NULL, r, EXIT_FAILED);
}

/* The person knows why. */
static void give_up(OperatorStream *p, int exit_code)
{
    p->told = true;
    p->exit_code = exit_code;
    p->pump = mux_pump_free(p->pump, "operator.left");
    say_goodbye(p, exit_code);
}

static void on_message(Tunnel *t _unused_, const cJSON *message, const char *text _unused_, void *userdata)
{
    OperatorStream *p = userdata;
    const char *state = json_string(message, "state"), *sentence = json_string(message, "message");
    const char *error = json_string(message, "error");
    const char *more = p->options->advice ? p->options->advice(error) : NULL;

    if (!str_equal(json_string(message, "type"), "bridge.progress"))
        return;
    if (str_equal(state, "open")) {
        if (p->options->on_open && !p->options->on_open(p->options, message))
            give_up(p, EXIT_FAILED);
    } else if (!str_equal(state, "trying") && sentence) {
        operator_stream_say(sentence);
    }
    if (str_equal(state, "refused") || str_equal(state, "ended")) {
        if (more)
            operator_stream_say(more);
        give_up(p, str_equal(error, "device.offline") ? EXIT_UNREACHABLE : EXIT_FAILED);
    }
}

static void on_down(Tunnel *t, int http_status, usec_t retry_in, const Error *err, void *userdata)
{
    OperatorStream *p = userdata;

    if (p->leaving) {
        finish(p, EXIT_OK);
    } else if (!p->was_up && !p->past_proxy && http_status == 0 && tunnel_goes_past_proxy(t)) {
        p->past_proxy = true;
        tunnel_retry(t);
    } else if (!p->was_up || retry_in == USEC_INFINITY) {
        fail(p, err, -EHOSTUNREACH, http_status >= 400 && http_status < 500 ? EXIT_FAILED : EXIT_UNREACHABLE);
    } else if (!p->lost) {
        _cleanup_(freep) char *text =
            str_format("the gateway is lost (%s); the session is kept for %u s", error_message(err, -ECONNRESET),
                       (unsigned) (MUX_GRACE / USEC_PER_SEC));
        operator_stream_say(text ? text : "the gateway is lost");
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

static int on_signal(sd_event_source *source _unused_, const struct signalfd_siginfo *info, void *userdata)
{
    OperatorStream *p = userdata;
    if (p->options->left && info->ssi_signo != SIGCHLD)
        *p->options->left = true;
    p->pump = mux_pump_free(p->pump, "operator.left");
    say_goodbye(p, EXIT_OK);
    return 0;
}

static int watch_signals(OperatorStream *p)
{
    static const int numbers[SIGNALS_MAX] = { SIGHUP, SIGINT, SIGTERM, SIGCHLD };
    struct sigaction ignore = { .sa_handler = SIG_IGN };
    size_t n = p->options->ends_with_child ? SIGNALS_MAX : SIGNALS_MAX - 1;

    for (size_t i = 0; i < n; i++) {
        int r = sd_event_add_signal(p->event, &p->signals[i], numbers[i] | SD_EVENT_SIGNAL_PROCMASK, on_signal, p);
        if (r < 0)
            return r;
    }
    return sigaction(SIGPIPE, &ignore, NULL) < 0 ? -errno : 0;
}

static int make_resume(OperatorStream *p)
{
    uint8_t bytes[RESUME_BYTES];
    random_bytes(bytes, sizeof(bytes));
    p->resume = hex_encode(bytes, sizeof(bytes));
    explicit_bzero(bytes, sizeof(bytes));
    return p->resume ? 0 : -ENOMEM;
}

static int stream_start(OperatorStream *p, Error *err)
{
    const Api *api = &p->options->fleet->api;
    _cleanup_(freep) char *path = fleet_device_path(p->options->device, "/bridge");
    const TunnelOptions options = { .ca_file = api->ca_file, .events = &tunnel_events, .userdata = p };
    TunnelOptions named = options;

    /* http → ws, https → wss */
    p->url = path ? str_format("ws%s%s", api->gateway + strlen("http"), path) : NULL;
    int r = p->url ? make_resume(p) : -ENOMEM;
    if (r >= 0)
        r = sd_event_new(&p->event);
    if (r >= 0)
        r = watch_signals(p);
    named.url = p->url;
    if (r >= 0)
        r = tunnel_new(p->event, &named, &p->tunnel, err);
    return error_from_errno(err, r, "opening a bridge");
}

int operator_stream_run(const OperatorStreamOptions *options)
{
    _cleanup_(stream_done) OperatorStream p = { .options = options };
    _cleanup_(error_done) Error err = {};

    int r = stream_start(&p, &err);
    if (r >= 0)
        r = sd_event_loop(p.event);
    return r < 0 ? fleet_fail(options->fleet, NULL, &err, r) : p.exit_code;
}

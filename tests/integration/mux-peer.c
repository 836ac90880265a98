/* SPDX-License-Identifier: MIT */
/* A gateway's end of one tunnel and nothing else: whoever connects is welcome, and each connection to a local port becomes
 * a stream with the target that is named on the command line. Prints its two ports, then "up" for every tunnel and
 * "refused REASON" for streams that did not come to be. On standard input "cut" drops the tunnel. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/event/daemon.h"
#include "lib/http/server.h"
#include "lib/mux/carrier.h"
#include "lib/mux/pump.h"
#include "lib/websocket/accept.h"

#define WELCOME                                                                                                        \
    "{\"type\":\"welcome\",\"deviceId\":\"d\",\"serverTime\":\"2026-01-02T03:04:05.678Z\",\"connection\":\"c\"}"

typedef struct Peer {
    sd_event *event;
    HttpServer *server;
    MuxCarrier *carrier;
    WsConn *ws;
    int listener;
    const char *target;
} Peer;

static void say(const char *text, const char *more)
{
    printf("%s%s\n", text, more);
    (void) fflush(stdout);
}

static void drop(Peer *p)
{
    mux_carrier_detach(p->carrier);
    p->ws = ws_conn_free(p->ws);
}

static void on_text(WsConn *c, const char *text, size_t len, void *userdata)
{
    Peer *p = userdata;
    (void) len;
    if (!strstr(text, "\"hello\"") || ws_conn_send_text(c, WELCOME, strlen(WELCOME)) < 0)
        return;
    mux_carrier_attach(p->carrier, c);
    say("up", "");
}

static void on_binary(WsConn *c, const uint8_t *data, size_t len, void *userdata)
{
    Peer *p = userdata;
    if (c == p->ws)
        mux_carrier_on_binary(p->carrier, data, len);
}

static void on_writable(WsConn *c, void *userdata)
{
    Peer *p = userdata;
    if (c == p->ws)
        mux_carrier_on_writable(p->carrier);
}

static void on_ws_closed(WsConn *c, uint16_t code, const Error *err, void *userdata)
{
    Peer *p = userdata;
    (void) code;
    (void) err;
    if (c == p->ws)
        drop(p);
    else
        ws_conn_free(c);
}

static const WsEvents ws_events = {
    .on_text = on_text,
    .on_binary = on_binary,
    .on_writable = on_writable,
    .on_closed = on_ws_closed,
};

static void on_request(HttpExchange *x, void *userdata)
{
    Peer *p = userdata;
    WsConn *ws = NULL;
    if (ws_accept(x, "secbox.v1", &ws, NULL) < 0) {
        http_respond(x, 400, "text/plain", "no", 2, NULL);
        return;
    }
    if (p->ws)
        drop(p);
    p->ws = ws;
    ws_conn_set_events(ws, &ws_events, p);
}

static void on_done(MuxPump *pump, const char *reason, void *userdata)
{
    (void) userdata;
    if (reason)
        say("refused ", reason);
    mux_pump_free(pump, NULL);
}

static int open_stream(Peer *p, int fd)
{
    static const MuxStreamEvents none = {};
    _cleanup_(closep) int local = fd;
    _cleanup_(cJSON_Deletep) cJSON *open = cJSON_CreateObject();
    MuxPumpOptions options = { .in = fd, .out = fd, .on_done = on_done, .userdata = p };
    MuxStream *s = NULL;
    MuxPump *pump = NULL;
    if (!open || json_add_string(open, "target", p->target) < 0 || json_add_string(open, "session", "s-1") < 0 ||
        json_add_string(open, "person", "alice") < 0 || json_add_string(open, "grant", "g-1") < 0 ||
        json_add_string(open, "reason", "a test") < 0)
        return -ENOMEM;
    int r = mux_open(mux_carrier_mux(p->carrier), open, &none, NULL, &s);
    if (r < 0)
        return r;
    (void) TAKE_FD(local);
    return mux_pump_new(p->event, s, false, &options, &pump);
}

static int on_local(sd_event_source *source, int listener, uint32_t revents, void *userdata)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    (void) source;
    (void) revents;
    if (fd < 0)
        return 0;
    int r = open_stream(userdata, fd);
    if (r < 0)
        say("refused ", strerror(-r));
    return 0;
}

static int on_command(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    Peer *p = userdata;
    char line[64] = "";
    ssize_t n = read(fd, line, sizeof line - 1);
    (void) revents;
    if (n <= 0)
        return sd_event_exit(sd_event_source_get_event(source), 0);
    if (str_starts(line, "cut") && p->ws)
        drop(p);
    return 0;
}

static int listen_locally(Peer *p, uint16_t *ret_port)
{
    struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof addr;
    p->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (p->listener < 0 || bind(p->listener, (struct sockaddr *) &addr, sizeof addr) < 0 ||
        listen(p->listener, 16) < 0 || getsockname(p->listener, (struct sockaddr *) &addr, &len) < 0)
        return -errno;
    *ret_port = ntohs(addr.sin_port);
    return sd_event_add_io(p->event, NULL, p->listener, EPOLLIN, on_local, p);
}

static int run(Peer *p)
{
    HttpServerOptions server = { .address = "127.0.0.1", .max_connections = 16, .handler = on_request, .userdata = p };
    MuxCarrierOptions carrier = { .side = MUX_GATEWAY, .session_max = MUX_SESSION_MAX_GATEWAY, .userdata = p };
    uint16_t port = 0;
    int r = service_loop_new(&p->event, NULL);
    if (r >= 0)
        r = http_server_new(p->event, &server, &p->server, NULL);
    if (r >= 0)
        r = mux_carrier_new(p->event, &carrier, &p->carrier);
    if (r >= 0)
        r = listen_locally(p, &port);
    if (r >= 0)
        r = sd_event_add_io(p->event, NULL, STDIN_FILENO, EPOLLIN, on_command, p);
    if (r < 0)
        return r;
    printf("tunnel %u\nlocal %u\n", http_server_port(p->server), port);
    (void) fflush(stdout);
    return sd_event_loop(p->event);
}

int main(int argc, char **argv)
{
    Peer p = { .listener = -1, .target = argc > 1 ? argv[1] : "ssh" };
    int r = run(&p);
    if (r < 0)
        fprintf(stderr, "mux-peer: %s\n", strerror(-r));
    _Exit(r < 0 ? 1 : 0);
}

/* SPDX-License-Identifier: MIT */
/* One tunnel and nothing around it, made of what the gateway and the box use:
 *   way gateway ADDRESS CERT KEY   prints two ports: the tunnel's, and one on 127.0.0.1 whose connections go into streams
 *   way box URL CA PORT            connects each stream to PORT on 127.0.0.1
 * Ends with its standard input. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/event/daemon.h"
#include "lib/tunnel/bridge.h"
#include "lib/http/server.h"
#include "lib/tunnel/message.h"
#include "lib/mux/carrier.h"
#include "lib/mux/pump.h"
#include "lib/tunnel/tunnel.h"
#include "lib/websocket/accept.h"

#define SUBPROTOCOL "secbox.v1"
#define TARGET "ssh"
#define WELCOME                                                                                                        \
    "{\"type\":\"welcome\",\"deviceId\":\"b\",\"serverTime\":\"2026-01-02T03:04:05.678Z\",\"connection\":\"c\"}"

typedef struct Way {
    sd_event *event;
    sd_event_source *input, *listener;
    HttpServer *server;
    MuxCarrier *carrier;
    WsConn *ws;
    Tunnel *tunnel;
    Bridge *bridge;
    MuxPump *pumps[MUX_STREAMS_MAX];
} Way;

/* the gateway's end */

static void on_gateway_text(WsConn *c, const char *text _unused_, size_t len _unused_, void *userdata)
{
    Way *w = userdata;
    if (ws_conn_send_text(c, WELCOME, strlen(WELCOME)) >= 0)
        mux_carrier_attach(w->carrier, c);
}

static void on_gateway_binary(WsConn *c _unused_, const uint8_t *data, size_t len, void *userdata)
{
    const Way *w = userdata;
    mux_carrier_on_binary(w->carrier, data, len);
}

static void on_gateway_writable(WsConn *c _unused_, void *userdata)
{
    const Way *w = userdata;
    mux_carrier_on_writable(w->carrier);
}

static void on_gateway_closed(WsConn *c, uint16_t code _unused_, const Error *err _unused_, void *userdata)
{
    Way *w = userdata;
    mux_carrier_detach(w->carrier);
    w->ws = ws_conn_free(c);
}

static const WsEvents gateway_events = { .on_text = on_gateway_text,
                                         .on_binary = on_gateway_binary,
                                         .on_writable = on_gateway_writable,
                                         .on_closed = on_gateway_closed };

static void on_request(HttpExchange *x, void *userdata)
{
    Way *w = userdata;
    if (w->ws || ws_accept(x, SUBPROTOCOL, &w->ws, NULL) < 0)
        http_respond(x, 400, "text/plain", "no", 2, NULL);
    else
        ws_conn_set_events(w->ws, &gateway_events, w);
}

static MuxPump **place_of(Way *w, const MuxPump *p)
{
    for (size_t i = 0; i < ELEMENTSOF(w->pumps); i++)
        if (w->pumps[i] == p)
            return &w->pumps[i];
    return NULL;
}

static void on_pump_done(MuxPump *p, const char *reason _unused_, void *userdata)
{
    MuxPump **place = place_of(userdata, p);
    if (place)
        *place = NULL;
    mux_pump_free(p, NULL);
}

static int on_visitor(sd_event_source *source _unused_, int listener, uint32_t revents _unused_, void *userdata)
{
    static const MuxStreamEvents none = {};
    Way *w = userdata;
    MuxStream *stream = NULL;
    MuxPump **place = place_of(w, NULL);
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    _cleanup_(cJSON_Deletep) cJSON *open = cJSON_CreateObject();
    if (fd < 0)
        return 0;
    if (!place || !open || json_add_string(open, "target", TARGET) < 0 ||
        mux_open(mux_carrier_mux(w->carrier), open, &none, NULL, &stream) < 0) {
        close(fd);
        return 0;
    }
    MuxPumpOptions options = { .in = fd, .out = fd, .on_done = on_pump_done, .userdata = w };
    if (mux_pump_new(w->event, stream, false, &options, place) < 0)
        mux_stream_reset(stream, "bench");
    return 0;
}

static int gateway_listen(Way *w, uint16_t *ret_port)
{
    struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof addr;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *) &addr, sizeof addr) < 0 || listen(fd, 16) < 0 ||
        getsockname(fd, (struct sockaddr *) &addr, &len) < 0)
        return -errno;
    *ret_port = ntohs(addr.sin_port);
    int r = sd_event_add_io(w->event, &w->listener, fd, EPOLLIN, on_visitor, w);
    return r < 0 ? r : sd_event_source_set_io_fd_own(w->listener, 1);
}

static int gateway_start(Way *w, char **argv, Error *err)
{
    const MuxCarrierOptions mux = { .side = MUX_GATEWAY, .session_max = MUX_SESSION_MAX_GATEWAY };
    const HttpServerOptions http = {
        .address = argv[0], .cert_file = argv[1], .key_file = argv[2], .handler = on_request, .userdata = w
    };
    uint16_t port = 0;
    int r = mux_carrier_new(w->event, &mux, &w->carrier);
    if (r >= 0)
        r = http_server_new(w->event, &http, &w->server, err);
    if (r >= 0)
        r = gateway_listen(w, &port);
    if (r >= 0) {
        (void) printf("%u %u\n", http_server_port(w->server), port);
        (void) fflush(stdout);
    }
    return r;
}

/* the box's end */

static cJSON *make_hello(Tunnel *t _unused_, void *userdata _unused_)
{
    return message_new("hello");
}

static const char *get_token(Tunnel *t _unused_, void *userdata _unused_)
{
    return "bench";
}

static void on_up(Tunnel *t _unused_, const cJSON *welcome _unused_, void *userdata _unused_)
{
    (void) printf("up\n");
    (void) fflush(stdout);
}

static void on_message(Tunnel *t _unused_, const cJSON *m _unused_, const char *text _unused_, void *userdata _unused_)
{
}

static void on_down(Tunnel *t _unused_, int status _unused_, usec_t retry_in _unused_, const Error *err,
                    void *userdata _unused_)
{
    (void) fprintf(stderr, "way: %s\n", error_message(err, -EIO));
}

static void on_stream(Tunnel *t _unused_, MuxStream *s, const cJSON *open, void *userdata)
{
    const Way *w = userdata;
    bridge_open(w->bridge, s, open);
}

static const TunnelEvents box_events = { .make_hello = make_hello,
                                         .get_token = get_token,
                                         .on_up = on_up,
                                         .on_message = on_message,
                                         .on_down = on_down,
                                         .on_stream = on_stream };

static int box_start(Way *w, char **argv, Error *err)
{
    uint64_t port = 0;
    if (str_to_u64(argv[2], 1, UINT16_MAX, &port) < 0)
        return error_set(err, EINVAL, "way.port", "%s is no port", argv[2]);
    const BridgeTarget targets[] = { { .name = TARGET, .host = "127.0.0.1", .port = (uint16_t) port }, {} };
    const BridgeOptions bridge = { .program = "way", .targets = targets };
    const TunnelOptions tunnel = { .url = argv[0], .ca_file = argv[1], .events = &box_events, .userdata = w };
    int r = bridge_new(w->event, &bridge, &w->bridge, err);
    return r < 0 ? r : tunnel_new(w->event, &tunnel, &w->tunnel, err);
}

static int on_input(sd_event_source *source _unused_, int fd, uint32_t revents _unused_, void *userdata)
{
    const Way *w = userdata;
    char ignored[64];
    return read(fd, ignored, sizeof ignored) > 0 ? 0 : sd_event_exit(w->event, 0);
}

static void way_done(Way *w)
{
    for (size_t i = 0; i < ELEMENTSOF(w->pumps); i++)
        mux_pump_free(w->pumps[i], NULL);
    bridge_free(w->bridge);
    tunnel_free(w->tunnel);
    mux_carrier_free(w->carrier);
    ws_conn_free(w->ws);
    http_server_free(w->server);
    sd_event_source_disable_unref(w->listener);
    sd_event_source_disable_unref(w->input);
    sd_event_unref(w->event);
}

int main(int argc, char **argv)
{
    _cleanup_(error_done) Error err = {};
    Way w = {};
    bool gateway = argc == 5 && str_equal(argv[1], "gateway");
    if (!gateway && (argc != 5 || !str_equal(argv[1], "box"))) {
        (void) fprintf(stderr, "usage: way gateway ADDRESS CERT KEY | way box URL CA PORT\n");
        return 2;
    }
    int r = service_loop_new(&w.event, &err);
    if (r >= 0)
        r = sd_event_add_io(w.event, &w.input, STDIN_FILENO, EPOLLIN, on_input, &w);
    if (r >= 0)
        r = gateway ? gateway_start(&w, argv + 2, &err) : box_start(&w, argv + 2, &err);
    if (r >= 0)
        r = sd_event_loop(w.event);
    if (r < 0)
        (void) fprintf(stderr, "way: %s\n", error_message(&err, r));
    way_done(&w);
    return r < 0;
}

/* SPDX-License-Identifier: MIT */
/* ws-echo-server [CERT KEY]: our WebSocket server for others to try. Prints "port N", echoes every message, prints
 * "closed CODE" for each connection that ends, and goes when its stdin ends. */
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#include "lib/event/daemon.h"
#include "lib/http/server.h"
#include "lib/websocket/accept.h"

static void on_text(WsConn *c, const char *text, size_t len, void *userdata)
{
    (void) userdata;
    if (ws_conn_send_text(c, text, len) < 0)
        ws_conn_close(c, WS_CLOSE_INTERNAL, "cannot echo");
}

static void on_binary(WsConn *c, const uint8_t *data, size_t len, void *userdata)
{
    (void) userdata;
    if (ws_conn_send_binary(c, data, len) < 0)
        ws_conn_close(c, WS_CLOSE_INTERNAL, "cannot echo");
}

static void on_closed(WsConn *c, uint16_t code, const Error *err, void *userdata)
{
    (void) err;
    (void) userdata;
    (void) printf("closed %u\n", code);
    (void) fflush(stdout);
    ws_conn_free(c);
}

static const WsEvents events = { .on_text = on_text, .on_binary = on_binary, .on_closed = on_closed };

static void on_request(HttpExchange *x, void *userdata)
{
    _cleanup_(error_done) Error err = {};
    WsConn *c = NULL;
    (void) userdata;
    if (ws_accept(x, "secbox.v1", &c, &err) < 0)
        http_respond(x, 400, "text/plain", error_id(&err), strlen(error_id(&err)), NULL);
    else
        ws_conn_set_events(c, &events, NULL);
}

static int on_stdin(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    char data[64];
    (void) revents;
    (void) userdata;
    return read(fd, data, sizeof data) > 0 ? 0 : sd_event_exit(sd_event_source_get_event(source), 0);
}

int main(int argc, char **argv)
{
    _cleanup_(error_done) Error err = {};
    _cleanup_(sd_event_unrefp) sd_event *event = NULL;
    _cleanup_(http_server_freep) HttpServer *server = NULL;
    HttpServerOptions options = {
        .address = "127.0.0.1",
        .max_connections = 16,
        .handler = on_request,
        .cert_file = argc == 3 ? argv[1] : NULL,
        .key_file = argc == 3 ? argv[2] : NULL,
    };
    int r = service_loop_new(&event, &err);
    if (r >= 0)
        r = http_server_new(event, &options, &server, &err);
    if (r >= 0)
        r = sd_event_add_io(event, NULL, STDIN_FILENO, EPOLLIN, on_stdin, NULL);
    if (r < 0) {
        (void) fprintf(stderr, "%s\n", error_message(&err, r));
        return 1;
    }
    (void) printf("port %u\n", http_server_port(server));
    (void) fflush(stdout);
    return sd_event_loop(event) < 0;
}

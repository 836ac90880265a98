/* SPDX-License-Identifier: MIT */
#include "secbox/media/media.h"

#include <errno.h>
#include <string.h>

#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/http/server.h"

#define CONNECTIONS_MAX 64
#define HANDSHAKES_MAX 8
#define PING_PATH "/media/ping"

struct Media {
    HttpServer *server;
    char *ping; /* the answer: whose box this is */
};

static void reply(HttpExchange *x, int status, const char *type, const char *text)
{
    static const char *const headers[] = { "Cache-Control: no-store", "X-Content-Type-Options: nosniff",
                                           "Content-Security-Policy: default-src 'none'", NULL };

    http_respond(x, status, type, text, strlen(text), headers);
}

static void on_request(HttpExchange *x, void *userdata)
{
    const Media *m = userdata;

    if (!str_equal(http_path(x), PING_PATH))
        reply(x, 404, "text/plain", "not here\n");
    else if (!str_equal(http_method(x), "GET") && !str_equal(http_method(x), "HEAD"))
        reply(x, 405, "text/plain", "");
    else
        reply(x, 200, "application/json", m->ping);
}

static char *print_ping(const char *device_id)
{
    _cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();

    return o && json_add_string(o, "deviceId", device_id) >= 0 ? json_print(o) : NULL;
}

int media_new(sd_event *event, const MediaOptions *o, Media **ret, Error *err)
{
    Media *m = calloc(1, sizeof(*m));
    const HttpServerOptions server = {
        .address = o->address,
        .port = o->port,
        .cert_file = o->cert_file,
        .key_file = o->key_file,
        .max_connections = CONNECTIONS_MAX,
        .max_handshakes = HANDSHAKES_MAX,
        .handler = on_request,
        .userdata = m,
    };
    int r = m ? 0 : -ENOMEM;

    if (m) {
        m->ping = print_ping(o->device_id);
        r = m->ping ? http_server_new(event, &server, &m->server, err) : -ENOMEM;
    }
    if (r < 0) {
        media_free(m);
        return error_from_errno(err, r, "cannot serve recordings");
    }
    *ret = m;
    return 0;
}

Media *media_free(Media *m)
{
    if (!m)
        return NULL;
    http_server_free(m->server);
    free(m->ping);
    free(m);
    return NULL;
}

int media_renew(Media *m, const char *cert_file, const char *key_file, Error *err)
{
    return http_server_renew(m->server, cert_file, key_file, err);
}

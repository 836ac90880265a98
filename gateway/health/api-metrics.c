/* SPDX-License-Identifier: MIT */
#include "gateway/health/api-metrics.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/health/metrics.h"
#include "lib/base/redact.h"
#include "lib/base/strv.h"
#include "lib/data/digest.h"

#define TOKEN_MIN 20
#define TEXT_MAX ((size_t) 8 * 1024 * 1024)
#define OPENMETRICS "application/openmetrics-text"

int metrics_api_set_token(MetricsApi *api, const char *token, Error *err)
{
    api->token_hash[0] = '\0';
    if (str_empty(token))
        return 0;
    if (strlen(token) < TOKEN_MIN)
        return error_set(err, EINVAL, "config.metrics-token",
                         METRICS_TOKEN_VARIABLE " has fewer than %d characters: make one with `openssl rand -hex 20`",
                         TOKEN_MIN);
    redact_add_secret(token);
    return sha256_hex(token, strlen(token), api->token_hash);
}

static int check_token(const MetricsApi *api, const HttpExchange *x, Error *err)
{
    const char *token = bearer_token(x);
    char hash[SECRET_HASH_SIZE];

    if (api->token_hash[0] == '\0')
        return error_set(err, ENOENT, "metrics.off",
                         "there are no metrics: " METRICS_TOKEN_VARIABLE " is not set in the gateway's environment");
    if (!token || sha256_hex(token, strlen(token), hash) < 0 || !str_equal(hash, api->token_hash))
        return error_set(err, EKEYREJECTED, "metrics.token",
                         "name yourself with \"Authorization: Bearer TOKEN\", the gateway's " METRICS_TOKEN_VARIABLE);
    return 0;
}

typedef struct Collection {
    const MetricsApi *api;
    MetricsBox *boxes;
    size_t n, room;
} Collection;

static MetricsPart part_of(const HealthPart *p)
{
    if (!p)
        return (MetricsPart) {};
    return (MetricsPart) {
        .told = true,
        .told_at = (double) (p->received_at / USEC_PER_MSEC) / 1000,
        .clock_offset = p->at ? p->clock_offset : NAN,
        .numbers = p->numbers,
        .faults = p->faults,
    };
}

static void collect(const char *device, bool blocked, void *userdata)
{
    Collection *c = userdata;
    const MetricsApi *api = c->api;

    if (blocked || c->n == c->room)
        return;
    c->boxes[c->n++] = (MetricsBox) {
        .device = device,
        .connected = device_conn_find(api->conns, device, ROLE_MGMT) != NULL,
        .box = part_of(device_health_find(api->health, device, "box")),
        .secbox = part_of(device_health_find(api->health, device, "secbox")),
    };
}

static int print(const MetricsApi *api, Buf *ret)
{
    Collection c = { .api = api, .room = device_registry_size(api->registry) };
    int r;

    c.boxes = calloc(c.room > 0 ? c.room : 1, sizeof(*c.boxes));
    if (!c.boxes)
        return -ENOMEM;
    device_registry_each(api->registry, collect, &c);
    r = metrics_print(c.boxes, c.n, ret);
    free(c.boxes);
    return r;
}

static void get_metrics(Request *c)
{
    _cleanup_(error_done) Error err = {};
    _cleanup_(buf_done) Buf text = BUF_INIT(TEXT_MAX);
    int r = check_token(c->module, c->exchange, &err);

    if (r >= 0) {
        http_note_known(c->exchange);
        r = print(c->module, &text);
    }
    if (r < 0) {
        request_fail(c, r, &err);
        return;
    }
    const char *accept = http_header(c->exchange, "Accept");
    HttpExchange *x = TAKE_PTR(c->exchange);
    request_free(c);
    http_respond(x, 200,
                 accept && strstr(accept, OPENMETRICS) ? OPENMETRICS "; version=1.0.0; charset=utf-8"
                                                       : "text/plain; version=0.0.4; charset=utf-8",
                 text.data, text.len, NULL);
}

const Route metrics_routes[] = {
    { "GET", "/metrics", ACCESS_ANYONE, get_metrics, "the fleet's values, for a monitoring system" },
    {},
};

/* SPDX-License-Identifier: MIT */
/* Requests and answers of the guards' interface. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "secbox/lan/lan-impl.h"

#define JSON_TYPE "application/json"
#define MORE_HEADERS_MAX 3
#define RETRY_HEADER_SIZE 32

static const char policy[] =
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; manifest-src 'self'; worker-src 'self'; media-src 'self' blob:; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'";

void lan_reply_raw(HttpExchange *x, int status, const char *content_type, const char *body, size_t len,
                   const char *const *more)
{
    const char *headers[] = {
        policy,
        "Strict-Transport-Security: max-age=31536000",
        "X-Content-Type-Options: nosniff",
        "Referrer-Policy: no-referrer",
        "Cross-Origin-Opener-Policy: same-origin",
        "Cross-Origin-Resource-Policy: same-origin",
        "Permissions-Policy: camera=(self), geolocation=(), microphone=()",
        /* with a tag it may be kept, and is asked about again each time */
        more && str_starts(more[0], "ETag: ") ? "Cache-Control: no-cache" : "Cache-Control: no-store",
        NULL,
        NULL,
        NULL,
        NULL,
    };
    const size_t n = ELEMENTSOF(headers) - MORE_HEADERS_MAX - 1;

    for (size_t i = 0; more && more[i] && i < MORE_HEADERS_MAX; i++)
        headers[n + i] = more[i];
    http_respond(x, status, content_type, body, len, headers);
}

static void on_gone(HttpExchange *x _unused_, void *userdata)
{
    LanRequest *q = userdata;

    q->exchange = NULL;
    lan_request_free(q);
}

LanRequest *lan_request_new(Lan *lan, HttpExchange *x)
{
    LanRequest *q = calloc(1, sizeof(*q));

    if (!q) {
        lan_reply_raw(x, 500, JSON_TYPE, "{}", 2, NULL);
        return NULL;
    }
    q->lan = lan;
    q->exchange = x;
    q->next = lan->requests;
    q->link = &lan->requests;
    if (q->next)
        q->next->link = &q->next;
    lan->requests = q;
    http_on_gone(x, on_gone, q);
    return q;
}

void lan_request_free(LanRequest *q)
{
    *q->link = q->next;
    if (q->next)
        q->next->link = q->link;
    if (q->scratch_free)
        q->scratch_free(q->scratch);
    store_query_free(q->query);
    cJSON_Delete(q->body);
    free(q->guard);
    free(q->guard_name);
    free(q->token);
    free(q->browser);
    free(q);
}

void lan_answer_with(LanRequest *q, int status, cJSON *body, const char *const *headers)
{
    _cleanup_(freep) char *text = body ? json_print(body) : NULL;

    cJSON_Delete(body);
    if (text)
        lan_reply_raw(q->exchange, status, JSON_TYPE, text, strlen(text), headers);
    else
        lan_reply_raw(q->exchange, 500, JSON_TYPE, "{}", 2, NULL);
    lan_request_free(q);
}

void lan_answer(LanRequest *q, int status, cJSON *body)
{
    lan_answer_with(q, status, body, NULL);
}

static cJSON *error_body(int r, const Error *err)
{
    cJSON *body = cJSON_CreateObject();

    if (body && json_add_item(body, "error", json_from_error(err, r)) < 0) {
        cJSON_Delete(body);
        return NULL;
    }
    return body;
}

void lan_fail(LanRequest *q, int status, int r, const Error *err)
{
    lan_answer(q, status, error_body(r, err));
}

void lan_refuse(LanRequest *q, int status, const char *id, const char *fmt, ...)
{
    _cleanup_(freep) char *message = NULL;
    _cleanup_(error_done) Error err = {};
    va_list args;

    va_start(args, fmt);
    message = str_vformat(fmt, args);
    va_end(args);
    /* the id is a literal of the caller */
    err = (Error) { .id = id, .message = message ? TAKE_PTR(message) : NULL };
    lan_fail(q, status, -EINVAL, &err);
}

void lan_refuse_for(LanRequest *q, usec_t wait, const char *id, const char *message)
{
    unsigned seconds = (unsigned) ((wait + USEC_PER_SEC - 1) / USEC_PER_SEC);
    _cleanup_(freep) char *text = str_format("%s; try again in %u s", message, seconds);
    const Error err = { .id = id, .message = text };
    char header[RETRY_HEADER_SIZE];
    const char *const headers[] = { header, NULL };

    snprintf(header, sizeof(header), "Retry-After: %u", seconds);
    lan_answer_with(q, 429, error_body(-EAGAIN, &err), headers);
}

bool lan_is_news(LanRequest *q, const char *version, char header[static ETAG_HEADER_SIZE])
{
    const char *has = http_header(q->exchange, "If-None-Match"), *const headers[] = { header, NULL };

    snprintf(header, ETAG_HEADER_SIZE, "ETag: \"%.120s\"", version);
    if (!has || !strstr(has, header + strlen("ETag: ")))
        return true;
    lan_reply_raw(q->exchange, 304, JSON_TYPE, "", 0, headers);
    lan_request_free(q);
    return false;
}

static void on_rows(StoreQuery *query _unused_, int r, const StoreRows *rows, const Error *err, void *userdata)
{
    LanRequest *q = userdata;

    q->query = NULL;
    if (r >= 0) {
        q->on_rows(q, rows);
        return;
    }
    /* lost, or locked for longer than a guard can wait */
    if (r != -ENOTCONN && q->without)
        log_failure(LOG_LEVEL_WARNING, NULL, err, r, "the database did not answer; what is in memory has to do");
    if (q->without)
        q->without(q);
    else
        lan_fail(q, r == -ENOTCONN ? 503 : 500, r, err);
}

void lan_query(LanRequest *q, Statement st, void (*then)(LanRequest *q, const StoreRows *rows))
{
    _cleanup_(error_done) Error err = {};
    int r = gate_data_query(q->lan->data, st, on_rows, q, &q->query, &err);

    q->on_rows = then;
    if (r < 0)
        lan_fail(q, 503, r, &err);
}

bool lan_query_number(LanRequest *q, const char *name, uint64_t max, uint64_t fallback, uint64_t *ret)
{
    _cleanup_(freep) char *text = http_query(q->exchange, name);

    *ret = fallback;
    if (!text || str_to_u64(text, 0, max, ret) >= 0)
        return true;
    lan_refuse(q, 400, "lan.bad-request", "%s must be a number up to %llu", name, (unsigned long long) max);
    return false;
}

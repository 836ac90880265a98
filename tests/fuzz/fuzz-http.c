/* SPDX-License-Identifier: MIT */
/* The HTTP parser: requests with their bodies, responses, and the handshakes made of them. The first byte chooses. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/http/parser.h"
#include "lib/websocket/handshake.h"

#define BODY_MAX 4096

static void check_head(const HttpHead *h)
{
    if (h->n_fields > HTTP_HEADERS_COUNT_MAX || (h->chunked && h->has_length))
        abort();
    for (size_t i = 0; i < h->n_fields; i++)
        if (!*h->fields[i].name || strpbrk(h->fields[i].name, " \t\r\n:") || strpbrk(h->fields[i].value, "\r\n"))
            abort();
    (void) http_head_has_token(h, "Connection", "close");
}

static void request(const char *data, size_t head_len, size_t len, size_t step)
{
    HttpHead h = {};
    HttpBody body;
    char accept[WS_ACCEPT_SIZE];
    int status = 0;
    _cleanup_(buf_done) Buf out = BUF_INIT(BODY_MAX);
    if (http_request_parse(data, head_len, &h, &status, NULL) < 0) {
        if (status != 400 && status != 417 && status != 431 && status != 501 && status != 505)
            abort();
        return;
    }
    check_head(&h);
    _cleanup_(freep) char *path = NULL;
    if (http_percent_decode(h.target, strlen(h.target), true, &path) >= 0 && strlen(path) > strlen(h.target))
        abort();
    if (ws_check_request(&h, "secbox.v1", accept, NULL) >= 0 && strlen(accept) != WS_ACCEPT_SIZE - 1)
        abort();
    http_body_init(&body, &h, &out);
    for (size_t at = head_len, used = 0; at < len; at += used) {
        size_t n = len - at < step ? len - at : step;
        int r = http_body_feed(&body, data + at, n, &used, NULL);
        if (r != 0 || used > n || used == 0)
            break;
    }
    if (out.len > BODY_MAX)
        abort();
    http_head_done(&h);
}

static void response(const char *data, size_t head_len)
{
    HttpHead h = {};
    if (http_response_parse(data, head_len, &h, NULL) < 0)
        return;
    check_head(&h);
    if (h.status < 100 || h.status > 599)
        abort();
    if (ws_check_response(&h, "dGhlIHNhbXBsZSBub25jZQ==", "secbox.v1", NULL) >= 0 && h.status != 101)
        abort();
    http_head_done(&h);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    const char *text = (const char *) data + 1;
    size_t len = size - 1, whole = 0, piecewise = 0, step = 1 + (data[0] >> 1);
    int r = http_head_find(text, len, &whole, NULL), again = 0;
    for (size_t n = step < len ? step : len;; n = n + step < len ? n + step : len) {
        again = http_head_find(text, n, &piecewise, NULL);
        if (again != 0 || n == len)
            break;
    }
    if (r != again)
        abort();
    if (r <= 0)
        return 0;
    if (data[0] & 1)
        response(text, (size_t) r);
    else
        request(text, (size_t) r, len, step);
    return 0;
}

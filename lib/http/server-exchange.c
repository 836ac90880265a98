/* SPDX-License-Identifier: MIT */
/* What a handler can ask of a request. */
#include <string.h>

#include "lib/base/strv.h"
#include "lib/http/server-conn-impl.h"

const char *http_method(const HttpExchange *x)
{
    return x->head_only ? "GET" : x->head.method;
}

bool http_is_head(const HttpExchange *x)
{
    return x->head_only;
}

const char *http_path(const HttpExchange *x)
{
    return x->path;
}

const char *http_header(const HttpExchange *x, const char *name)
{
    return http_head_get(&x->head, name);
}

const char *http_body(const HttpExchange *x, size_t *ret_len)
{
    if (ret_len)
        *ret_len = x->body.len;
    return x->body.data ? x->body.data : "";
}

const char *http_peer(const HttpExchange *x)
{
    return x->peer ? x->peer : x->conn ? stream_peer(x->conn->stream) : "";
}

char *http_query(const HttpExchange *x, const char *name)
{
    for (const char *p = x->query; p && *p;) {
        size_t len = strcspn(p, "&"), key_len = strcspn(p, "=&");
        _cleanup_(freep) char *key = NULL;
        char *value = NULL;
        if (http_percent_decode(p, key_len, true, &key) >= 0 && str_equal(key, name)) {
            size_t skip = key_len < len ? key_len + 1 : len;
            return http_percent_decode(p + skip, len - skip, true, &value) >= 0 ? value : NULL;
        }
        p += len + (p[len] == '&');
    }
    return NULL;
}

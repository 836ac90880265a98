/* SPDX-License-Identifier: MIT */
/* CONNECT through an HTTP proxy (RFC 9110 §9.3.6). Nothing behind the head of the answer is read: that is the target's. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/encode.h"
#include "lib/base/strv.h"
#include "lib/net/stream-impl.h"

#define HEAD_MAX 8192

struct ProxyCall {
    char *proxy, *request;
    size_t sent, len;
    Buf answer;
};

static char *make_request(const char *place, const char *login)
{
    _cleanup_(freep) char *encoded = login ? base64_encode(login, strlen(login)) : NULL;

    if (login && !encoded)
        return NULL;
    return str_format("CONNECT %s HTTP/1.1\r\nHost: %s\r\n%s%s%s\r\n", place, place,
                      encoded ? "Proxy-Authorization: Basic " : "", encoded ? encoded : "", encoded ? "\r\n" : "");
}

ProxyCall *proxy_call_new(const char *place, const char *proxy, const char *login)
{
    ProxyCall *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->answer = BUF_INIT(HEAD_MAX);
    t->proxy = strdup(proxy);
    t->request = make_request(place, login);
    if (!t->proxy || !t->request)
        return proxy_call_free(t);
    t->len = strlen(t->request);
    return t;
}

ProxyCall *proxy_call_free(ProxyCall *t)
{
    if (!t)
        return NULL;
    buf_done(&t->answer);
    if (t->request)
        explicit_bzero(t->request, strlen(t->request));
    free(t->request);
    free(t->proxy);
    free(t);
    return NULL;
}

void proxy_call_restart(ProxyCall *t)
{
    t->sent = 0;
    buf_done(&t->answer);
}

/* -EAGAIN, or what broke the connection. */
static int failed(const ProxyCall *t, int code, Error *err)
{
    if (code == EAGAIN || code == EINTR)
        return -EAGAIN;
    return error_set(err, code, "stream.closed", "the connection with the proxy %s broke: %s", t->proxy,
                     strerror(code));
}

/* "HTTP/1.1 200 Connection established" */
static int judge(const ProxyCall *t, Error *err)
{
    const char *space = strchr(t->answer.data, ' ');
    uint64_t status = 0;
    _cleanup_(freep) char *number = space ? strndup(space + 1, strspn(space + 1, "0123456789")) : NULL;

    if (!str_starts(t->answer.data, "HTTP/1.") || !number || str_to_u64(number, 100, 999, &status) < 0)
        return error_set(err, EPROTO, "stream.proxy", "%s is no HTTP proxy: it does not answer as one", t->proxy);
    if (status >= 200 && status < 300)
        return 0;
    if (status == 407)
        return error_set(err, EACCES, "stream.proxy",
                         "the proxy %s asks for a login, or for another one (407): put user and password into its URL",
                         t->proxy);
    return error_set(err, EACCES, "stream.proxy",
                     "the proxy %s does not connect any further (HTTP status %d): it has to allow CONNECT to this "
                     "host and port",
                     t->proxy, (int) status);
}

int proxy_call_round(ProxyCall *t, int fd, bool *ret_wants_write, Error *err)
{
    *ret_wants_write = t->sent < t->len;
    while (t->sent < t->len) {
        ssize_t n = send(fd, t->request + t->sent, t->len - t->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0)
            return failed(t, errno, err);
        t->sent += (size_t) n;
    }
    *ret_wants_write = false;
    for (;;) {
        char c;
        ssize_t n = recv(fd, &c, 1, MSG_DONTWAIT);
        if (n < 0)
            return failed(t, errno, err);
        if (n == 0)
            return failed(t, ECONNRESET, err);
        if (buf_append(&t->answer, &c, 1) < 0)
            return error_set(err, EPROTO, "stream.proxy", "%s is no HTTP proxy: its answer has no end", t->proxy);
        if (str_ends(t->answer.data, "\r\n\r\n") || str_ends(t->answer.data, "\n\n"))
            return judge(t, err);
    }
}

/* SPDX-License-Identifier: MIT */
#include "gateway/fleet/sign-in-callback.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/strv.h"
#include "lib/http/parser.h"

#define HEAD_MAX 16384
/* A browser that connects early and says nothing must not keep others away. */
#define PATIENCE (3 * USEC_PER_SEC)

static const char page[] =
    "<!doctype html><meta charset=utf-8><title>SecBox</title>"
    "<p style='font:1.2em sans-serif;margin:3em'>You are signed in when the terminal says so. This page can "
    "be closed.";

int sign_in_callback_open(SignInCallback *ret, uint16_t port, Error *err)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons(port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
        bind(fd, (struct sockaddr *) &address, len) < 0 || listen(fd, 8) < 0 ||
        getsockname(fd, (struct sockaddr *) &address, &len) < 0) {
        int r = error_set(err, errno, "fleet.sign-in", "cannot listen on 127.0.0.1 port %u: %s", port, strerror(errno));
        if (fd >= 0)
            close(fd);
        return r;
    }
    *ret = (SignInCallback) { .fd = fd, .port = ntohs(address.sin_port) };
    return 0;
}

void sign_in_callback_close(SignInCallback *c)
{
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
}

/* A parameter of a query, decoded; NULL when it is not there. */
static char *parameter(const char *query, const char *name)
{
    size_t len = strlen(name);

    for (const char *p = query; *p;) {
        size_t n = strcspn(p, "&#");
        if (n > len && strncmp(p, name, len) == 0 && p[len] == '=') {
            char *value = NULL;
            return http_percent_decode(p + len + 1, n - len - 1, true, &value) < 0 ? NULL : value;
        }
        p += n;
        if (*p != '&')
            break;
        p++;
    }
    return NULL;
}

int sign_in_callback_read(const char *target, const char *state, char **ret, Error *err)
{
    const char *query = strchr(target, '?');
    _cleanup_(freep) char *theirs = query ? parameter(query + 1, "state") : NULL;
    _cleanup_(secret_freep) char *code = query ? parameter(query + 1, "code") : NULL;
    _cleanup_(freep) char *error = query ? parameter(query + 1, "error") : NULL;
    _cleanup_(freep) char *why = query ? parameter(query + 1, "error_description") : NULL;

    if (!str_equal(theirs, state) || (str_empty(code) && str_empty(error)))
        return 0;
    if (!str_empty(error))
        return error_set(err, EACCES, "fleet.sign-in", "the provider refuses: %s%s%s", error, why ? ": " : "",
                         why ? why : "");
    *ret = TAKE_PTR(code);
    return 1;
}

static void answer(int fd, const char *status)
{
    _cleanup_(freep) char *text =
        str_format("HTTP/1.1 %s\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: %zu\r\n"
                   "Referrer-Policy: no-referrer\r\nConnection: close\r\n\r\n%s",
                   status, strlen(page), page);

    if (text && send(fd, text, strlen(text), MSG_NOSIGNAL) < 0)
        fprintf(stderr, "the browser does not wait for its page: %s\n", strerror(errno));
}

/* All of the head: a connection that is closed over what nobody has read is reset, and the browser loses its page. */
static void read_head(int fd, Buf *head)
{
    static const char end[] = "\r\n\r\n";
    char piece[2048];
    struct pollfd p = { .fd = fd, .events = POLLIN };
    usec_t until = boottime_usec() + PATIENCE, now;

    while ((now = boottime_usec()) < until && poll(&p, 1, (int) ((until - now) / USEC_PER_MSEC + 1)) > 0) {
        ssize_t n = recv(fd, piece, sizeof(piece), 0);
        if (n <= 0 || buf_append(head, piece, (size_t) n) < 0 || memmem(head->data, head->len, end, strlen(end)))
            break;
    }
    explicit_bzero(piece, sizeof(piece));
}

/* What a browser asks for; NULL when it asks for nothing. */
static char *read_target(int fd)
{
    Buf head = BUF_INIT(HEAD_MAX);
    char *target = NULL;

    read_head(fd, &head);
    char *end = head.len > 0 ? memchr(head.data, '\r', head.len) : NULL;
    if (end) {
        *end = '\0';
        const char *from = strchr(head.data, ' '), *to = from ? strchr(from + 1, ' ') : NULL;
        target = to ? strndup(from + 1, (size_t) (to - from - 1)) : NULL;
    }
    if (head.data)
        explicit_bzero(head.data, head.len);
    buf_done(&head);
    return target;
}

static int take_browser(const SignInCallback *c, const char *state, char **ret, Error *err)
{
    int fd = accept4(c->fd, NULL, NULL, SOCK_CLOEXEC);
    _cleanup_(secret_freep) char *target = fd >= 0 ? read_target(fd) : NULL;
    int r = target ? sign_in_callback_read(target, state, ret, err) : 0;

    if (fd >= 0) {
        answer(fd, r == 1 ? "200 OK" : "400 Bad Request");
        close(fd);
    }
    return r;
}

static int take_line(const char *state, bool *ret_more, char **ret, Error *err)
{
    char *line = NULL;
    size_t size = 0;
    int r = 0;

    *ret_more = getline(&line, &size, stdin) > 0;
    if (*ret_more) {
        line[strcspn(line, " \r\n")] = '\0';
        r = sign_in_callback_read(line, state, ret, err);
        if (r == 0 && *line)
            fprintf(stderr, "That is not the address to which the browser was sent after this sign-in.\n");
        explicit_bzero(line, size);
    }
    free(line);
    return r;
}

int sign_in_callback_wait(const SignInCallback *c, const char *state, usec_t timeout, char **ret, Error *err)
{
    usec_t until = boottime_usec() + timeout;
    bool typed = isatty(STDIN_FILENO);

    for (;;) {
        struct pollfd p[] = { { .fd = c->fd, .events = POLLIN },
                              { .fd = typed ? STDIN_FILENO : -1, .events = POLLIN } };
        usec_t now = boottime_usec();
        int r = now < until ? poll(p, ELEMENTSOF(p), (int) ((until - now) / USEC_PER_MSEC + 1)) : 0;
        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            return error_set(err, ETIMEDOUT, "fleet.sign-in", "nobody has signed in within %llu s",
                             (unsigned long long) (timeout / USEC_PER_SEC));
        r = p[0].revents ? take_browser(c, state, ret, err) : take_line(state, &typed, ret, err);
        if (r != 0)
            return r < 0 ? r : 0;
    }
}

/* SPDX-License-Identifier: MIT */
/* A forked HTTP responder with canned answers, on loopback and on a UNIX socket, for the tests of the HTTP client. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "lib/base/buf.h"
#include "lib/base/fileio.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/event/daemon.h"
#include "lib/http/client.h"

#define LONG (600 * USEC_PER_SEC)

typedef struct Server {
    pid_t pid;
    uint16_t port;
    char folder[64], socket[96];
} Server;

static Server server;

/* the responder, in its own processes */

static const struct {
    const char *path, *answer;
} canned[] = {
    { "/hello", "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 5\r\n\r\nhello" },
    { "/teapot", "HTTP/1.1 418 Teapot\r\nContent-Length: 3\r\n\r\nno\n" },
    { "/busy", "HTTP/1.1 503 Busy\r\nServer: Busy/1.0 (test)\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n" },
    { "/busy-date", "HTTP/1.1 503 Busy\r\nRetry-After: Fri, 31 Dec 1999 23:59:59 GMT\r\nContent-Length: 0\r\n\r\n" },
    { "/chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n" },
    { "/interim", "HTTP/1.1 102 Wait\r\nRetry-After: 9\r\n\r\nHTTP/1.1 204 None\r\n\r\n" },
    { "/moved", "HTTP/1.1 302 Found\r\nLocation: /hello\r\nContent-Length: 0\r\n\r\n" },
    { "/later",
      "HTTP/1.1 429 Slow\r\nDate: Fri, 31 Dec 1999 23:59:30 GMT\r\nRetry-After: Fri, 31 Dec 1999 23:59:59 GMT\r\n"
      "Content-Length: 0\r\n\r\n" },
    { "/kept",
      "HTTP/1.1 102 Wait\r\nX-One: interim\r\n\r\nHTTP/1.1 401 No\r\nx-one: Basic realm=\"a\"\r\nX-Other: o\r\n"
      "X-ONE:Bearer b \r\nX-Two:\r\nContent-Length: 0\r\n\r\n" },
    { "/closed", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end" },
    { "/cut", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort" },
    { "/garbage", "this is not HTTP at all\r\n\r\n" },
};

static void say(int fd, const char *text)
{
    if (fd_write_all(fd, text, strlen(text)) < 0)
        _exit(1);
}

static void serve_big(int fd, size_t size)
{
    char head[128], piece[4096];

    memset(piece, 'b', sizeof(piece));
    snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", size);
    say(fd, head);
    while (size > 0) {
        size_t n = size < sizeof(piece) ? size : sizeof(piece);

        if (fd_write_all(fd, piece, n) < 0)
            _exit(0);
        size -= n;
    }
}

static void serve_headers(int fd)
{
    say(fd, "HTTP/1.1 200 OK\r\n");
    for (size_t i = 0; i < HTTP_HEADER_MAX / 16 + 1; i++)
        say(fd, "X-One: 0123456789abcdef\r\n");
    say(fd, "Content-Length: 0\r\n\r\n");
}

/* Two requests on one connection, told apart by their status. */
static void serve_twice(int fd)
{
    char request[4096];

    say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    if (read(fd, request, sizeof(request)) > 0)
        say(fd, "HTTP/1.1 201 Again\r\nContent-Length: 0\r\n\r\n");
}

static void serve_echo(int fd, const char *request)
{
    char head[128];

    snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n",
             strlen(request));
    say(fd, head);
    say(fd, request);
}

/* One request per connection. */
static _Noreturn void serve(int fd)
{
    char request[65536] = "", path[256] = "";
    size_t len = 0, body = 0;
    const char *end, *cl;

    while (!(end = strstr(request, "\r\n\r\n")) || strlen(end + 4) < body) {
        ssize_t n = read(fd, request + len, sizeof(request) - 1 - len);

        if (n <= 0)
            _exit(0);
        len += (size_t) n;
        request[len] = '\0';
        if (request[0] == 0x16) /* a TLS handshake */
            _exit(0);
        if ((cl = strcasestr(request, "Content-Length: ")))
            body = strtoul(cl + 16, NULL, 10);
    }
    (void) sscanf(request, "%*s %255s", path);
    if (str_equal(path, "/never"))
        while (read(fd, path, sizeof(path)) > 0) {
        }
    else if (str_starts(path, "/echo"))
        serve_echo(fd, request);
    else if (str_equal(path, "/twice"))
        serve_twice(fd);
    else if (str_equal(path, "/headers"))
        serve_headers(fd);
    else if (str_equal(path, "/big"))
        serve_big(fd, HTTP_BODY_MAX + 1);
    else if (str_equal(path, "/full"))
        serve_big(fd, HTTP_BODY_MAX);
    for (size_t i = 0; i < ELEMENTSOF(canned); i++)
        if (str_equal(path, canned[i].path))
            say(fd, canned[i].answer);
    _exit(0);
}

static _Noreturn void server_loop(int listener)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGCHLD, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    for (;;) {
        int fd = accept(listener, NULL, NULL);

        if (fd >= 0 && fork() == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            close(listener);
            serve(fd);
        }
        if (fd >= 0)
            close(fd);
    }
}

static pid_t server_fork(int listener, int other)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        close(other);
        server_loop(listener);
    }
    return pid;
}

static pid_t unix_pid;

static int setup(void **state)
{
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    socklen_t len = sizeof(in);
    int tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), local = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void) state;
    unsetenv("http_proxy");
    unsetenv("https_proxy");
    unsetenv("all_proxy");
    unsetenv("ALL_PROXY");
    snprintf(server.folder, sizeof(server.folder), "/tmp/test-http-client-XXXXXX");
    assert_non_null(mkdtemp(server.folder));
    snprintf(server.socket, sizeof(server.socket), "%s/http.sock", server.folder);
    memcpy(un.sun_path, server.socket, sizeof(server.socket));
    assert_int_equal(bind(tcp, (struct sockaddr *) &in, sizeof(in)), 0);
    assert_int_equal(bind(local, (struct sockaddr *) &un, sizeof(un)), 0);
    assert_int_equal(listen(tcp, 64), 0);
    assert_int_equal(listen(local, 64), 0);
    assert_int_equal(getsockname(tcp, (struct sockaddr *) &in, &len), 0);
    server.port = ntohs(in.sin_port);
    server.pid = server_fork(tcp, local);
    unix_pid = server_fork(local, tcp);
    close(tcp);
    close(local);
    return 0;
}

static int teardown(void **state)
{
    (void) state;
    kill(server.pid, SIGKILL);
    kill(unix_pid, SIGKILL);
    waitpid(server.pid, NULL, 0);
    waitpid(unix_pid, NULL, 0);
    return dir_remove(server.folder, NULL);
}

static _unused_ char *url_of(const char *path)
{
    char *url = str_format("http://127.0.0.1:%u%s", server.port, path);

    assert_non_null(url);
    return url;
}

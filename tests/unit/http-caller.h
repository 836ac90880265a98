/* SPDX-License-Identifier: MIT */
/* A caller of a server that runs on the test's own loop: bytes over a socket of loopback, by none of our HTTP code. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/http/server.h"

#define PATIENCE (120 * USEC_PER_SEC)

static inline int client_open(const HttpServer *server)
{
    struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(http_server_port(server)) };
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *) &addr, sizeof addr), 0);
    return fd;
}

static inline void client_send(sd_event *event, int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n > 0) {
            data += n;
            len -= (size_t) n;
        } else if (errno != EAGAIN) {
            return; /* the server may refuse before it has read everything */
        }
        assert_true(sd_event_run(event, n > 0 ? 0 : 1000) >= 0);
    }
}

/* Reads until the text appears (or, with NULL, until the end). Returns whether the connection has ended. */
static inline bool client_read(sd_event *event, int fd, Buf *out, const char *until)
{
    usec_t start = boottime_usec();
    for (;;) {
        char data[4096];
        ssize_t n = recv(fd, data, sizeof data, MSG_DONTWAIT);
        if (n > 0)
            assert_true(buf_append(out, data, (size_t) n) >= 0);
        else if (n == 0 || errno != EAGAIN)
            return true;
        if (until && out->len > 0 && memmem(out->data, out->len, until, strlen(until)))
            return false;
        assert_true(boottime_usec() - start < PATIENCE);
        if (n < 0)
            assert_true(sd_event_run(event, 1000) >= 0);
    }
}

/* SPDX-License-Identifier: MIT */
/* The network is tried without waiting. */
#include "lib/event/self-check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/mem.h"

static int is_ready(int fd, short events)
{
    struct pollfd p = { .fd = fd, .events = events };
    int r = poll(&p, 1, 0);
    return r > 0 ? 0 : r < 0 && errno != EINTR ? -errno : -EAGAIN;
}

static int listen_here(struct sockaddr_in *address)
{
    socklen_t len = sizeof(*address);
    _cleanup_(closep) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    *address = (struct sockaddr_in) { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    if (fd < 0 || bind(fd, (struct sockaddr *) address, len) < 0 || listen(fd, 1) < 0 ||
        getsockname(fd, (struct sockaddr *) address, &len) < 0)
        return -errno;
    return TAKE_FD(fd);
}

static int start(Loopback *l)
{
    struct sockaddr_in address;
    /* no connection is left in the kernel's memory of those that were */
    const struct linger now = { .l_onoff = 1 };
    _cleanup_(closep) int listener = listen_here(&address);
    _cleanup_(closep) int out = listener < 0 ? -1 : socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listener < 0)
        return listener;
    if (out < 0 || setsockopt(out, SOL_SOCKET, SO_LINGER, &now, sizeof(now)) < 0 ||
        (connect(out, (struct sockaddr *) &address, sizeof(address)) < 0 && errno != EINPROGRESS))
        return -errno;
    *l = (Loopback) { .step = LOOPBACK_ACCEPT, .listener = TAKE_FD(listener), .out = TAKE_FD(out), .in = -1 };
    return 0;
}

static int take_step(Loopback *l)
{
    char byte = 'x';
    int r;
    switch (l->step) {
    case LOOPBACK_IDLE:
        return start(l);
    case LOOPBACK_ACCEPT:
        l->in = accept4(l->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (l->in < 0)
            return errno == EWOULDBLOCK || errno == EINTR ? -EAGAIN : -errno;
        break;
    case LOOPBACK_SEND:
        r = is_ready(l->out, POLLOUT);
        if (r < 0)
            return r;
        if (send(l->out, &byte, 1, MSG_NOSIGNAL) != 1)
            return -EIO;
        break;
    case LOOPBACK_RECEIVE:
        r = is_ready(l->in, POLLIN);
        if (r < 0)
            return r;
        return recv(l->in, &byte, 1, 0) == 1 ? 1 : -EIO;
    }
    l->step++;
    return 0;
}

void loopback_done(Loopback *l)
{
    if (l->step != LOOPBACK_IDLE) {
        closep(&l->listener);
        closep(&l->in);
        closep(&l->out);
    }
    *l = (Loopback) {};
}

int loopback_go_on(Loopback *l)
{
    int r = 0;
    while (r == 0)
        r = take_step(l);
    if (r != -EAGAIN)
        loopback_done(l);
    return r < 0 ? r : 0;
}

int alive_still(Alive *a)
{
    bool again = a->loopback.step != LOOPBACK_IDLE;
    int r = loopback_go_on(&a->loopback);
    /* what the kernel has not done at once has time until the next question */
    if (r == -EAGAIN && !again)
        return 1;
    bool works = r >= 0, lost = a->loopback_worked && !works;
    a->loopback_worked = a->loopback_worked || works;
    return !lost;
}

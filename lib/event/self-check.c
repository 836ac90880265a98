/* SPDX-License-Identifier: MIT */
/* Both return soon: one by its own bound, the other as the disk does. */
#include "lib/event/self-check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/mem.h"

#define STEP_MSEC 250

static int wait_for(int fd, short events)
{
    struct pollfd p = { .fd = fd, .events = events };
    int r = poll(&p, 1, STEP_MSEC);
    return r > 0 ? 0 : r < 0 ? -errno : -ETIMEDOUT;
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

int alive_loopback(void)
{
    struct sockaddr_in address;
    char byte = 'x';
    _cleanup_(closep) int listener = listen_here(&address);
    _cleanup_(closep) int out = listener < 0 ? -1 : socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    _cleanup_(closep) int in = -1;
    if (listener < 0)
        return listener;
    /* no connection is left in the kernel's memory of those that were */
    const struct linger now = { .l_onoff = 1 };
    if (out < 0 || setsockopt(out, SOL_SOCKET, SO_LINGER, &now, sizeof(now)) < 0 ||
        (connect(out, (struct sockaddr *) &address, sizeof(address)) < 0 && errno != EINPROGRESS))
        return -errno;
    int r = wait_for(listener, POLLIN);
    if (r < 0)
        return r;
    in = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    r = in < 0 ? -errno : wait_for(out, POLLOUT);
    if (r < 0)
        return r;
    if (send(out, &byte, 1, MSG_NOSIGNAL) != 1)
        return -EIO;
    r = wait_for(in, POLLIN);
    if (r < 0)
        return r;
    return recv(in, &byte, 1, 0) == 1 ? 0 : -EIO;
}

int alive_still(Alive *a)
{
    bool works = alive_loopback() >= 0, lost = a->loopback_worked && !works;
    a->loopback_worked = a->loopback_worked || works;
    return !lost;
}

int alive_scratch(const char *path)
{
    static const char text[] = "alive\n";
    _cleanup_(closep) int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    ssize_t n = pwrite(fd, text, strlen(text), 0);
    if (n < 0 || fsync(fd) < 0)
        return -errno;
    return n == (ssize_t) strlen(text) ? 0 : -EIO;
}

/* SPDX-License-Identifier: MIT */
#include "session-recorder/relay.h"

#include <errno.h>
#include <unistd.h>

bool relay_is_empty(const Relay *r)
{
    return r->at == r->len;
}

void relay_poll(const Relay *r, struct pollfd ret[static 2])
{
    const bool empty = relay_is_empty(r);

    ret[0] = (struct pollfd) { .fd = empty ? r->from : -1, .events = POLLIN };
    ret[1] = (struct pollfd) { .fd = empty ? -1 : r->to, .events = POLLOUT };
}

int relay_read(Relay *r)
{
    if (r->from < 0 || !relay_is_empty(r))
        return 0;
    ssize_t n = read(r->from, r->data, sizeof(r->data));
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    r->at = r->drops ? (size_t) n : 0;
    r->len = (size_t) n;
    return n == 0 ? -ENODATA : 1;
}

int relay_write(Relay *r)
{
    while (!relay_is_empty(r)) {
        ssize_t n = write(r->to, r->data + r->at, r->len - r->at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN ? 0 : -errno;
        r->at += (size_t) n;
    }
    return 0;
}

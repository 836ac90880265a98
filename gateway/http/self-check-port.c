/* SPDX-License-Identifier: MIT */
/* Over plain HTTP we ask for an answer. Over TLS, where the certificate is for another name, and where a PROXY header is
 * expected, a connection has to do. */
#include "gateway/http/self-check-port.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "lib/base/strv.h"
#include "lib/net/listener.h"

#define FAILURES_MAX 4

struct GatewayAlive {
    Listeners *self;
    bool asking, worked;
    unsigned failures;
};

GatewayAlive *gateway_alive_free(GatewayAlive *a)
{
    if (a) {
        listeners_free(a->self);
        free(a);
    }
    return NULL;
}

/* A listener on every address is asked on the loopback address. */
static char *self_address(const char *listen)
{
    const char *colon = strrchr(listen, ':');
    if (str_starts(listen, "0.0.0.0:"))
        return strdup("127.0.0.1");
    if (str_starts(listen, "[::]:"))
        return strdup("[::1]");
    return strndup(listen, colon ? (size_t) (colon - listen) : strlen(listen));
}

int gateway_alive_new(sd_event *event, const char *listen, uint16_t port, bool bare, GatewayAlive **ret, Error *err)
{
    _cleanup_(gateway_alive_freep) GatewayAlive *a = calloc(1, sizeof(*a));
    _cleanup_(freep) char *address = self_address(listen), *listener = NULL;
    if (address)
        listener = str_format("%s:%s:%u%s", bare ? "tcp" : "http", address, port, bare ? "" : "/alive");
    if (!a || !listener)
        return error_from_errno(err, -ENOMEM, "starting");
    int r = listeners_new(event, listener, &a->self, err);
    if (r >= 0)
        *ret = TAKE_PTR(a);
    return r;
}

/* Strangers may take all that there are; whoever can see that is alive, and an end would cost every tunnel. */
static bool lacks_descriptors(void)
{
    _cleanup_(closep) int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    return fd < 0 && (errno == EMFILE || errno == ENFILE);
}

static void on_settled(void *userdata)
{
    GatewayAlive *a = userdata;
    bool good = listeners_good(a->self, 0) || lacks_descriptors();
    a->asking = false;
    a->worked = a->worked || good;
    a->failures = good ? 0 : a->failures + 1;
}

int gateway_alive_check(void *alive)
{
    GatewayAlive *a = alive;
    if (a->asking && !lacks_descriptors())
        a->failures++;
    a->asking = true;
    listeners_try(a->self, on_settled, a);
    return !a->worked || a->failures < FAILURES_MAX;
}

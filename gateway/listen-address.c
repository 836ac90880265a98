/* SPDX-License-Identifier: MIT */
#include "gateway/listen-address.h"

#include <errno.h>
#include <string.h>

#include "lib/net/host-port.h"

int listen_address_parse(const char *listen, char address[static LISTEN_ADDRESS_SIZE], uint16_t *ret_port, Error *err)
{
    _cleanup_(freep) char *host = NULL;
    int r = host_port_split(listen, &host, ret_port);
    if (r == -ENOMEM)
        return error_from_errno(err, r, "reading --listen");
    if (r < 0 || strlen(host) >= LISTEN_ADDRESS_SIZE)
        return error_set(err, EINVAL, "config.listen",
                         "--listen %s: give a numeric address and a port, like 0.0.0.0:8443 or [::]:8443", listen);
    memcpy(address, host, strlen(host) + 1);
    return 0;
}

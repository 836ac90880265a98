/* SPDX-License-Identifier: MIT */
#include "gateway/listen-address.h"

#include <errno.h>
#include <string.h>

#include "lib/base/strv.h"

int listen_address_parse(const char *listen, char address[static LISTEN_ADDRESS_SIZE], uint16_t *ret_port, Error *err)
{
    uint64_t port;
    const char *colon = strrchr(listen, ':');
    const char *first = listen;
    const char *last = colon;
    if (colon && *first == '[' && colon > first + 1 && colon[-1] == ']') {
        first++;
        last--;
    }
    if (!colon || last <= first || last - first >= LISTEN_ADDRESS_SIZE ||
        str_to_u64(colon + 1, 0, UINT16_MAX, &port) < 0)
        return error_set(err, EINVAL, "config.listen",
                         "--listen %s: give a numeric address and a port, like 0.0.0.0:8443 or [::]:8443", listen);
    memcpy(address, first, (size_t) (last - first));
    address[last - first] = '\0';
    *ret_port = (uint16_t) port;
    return 0;
}

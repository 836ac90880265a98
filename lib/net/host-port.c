/* SPDX-License-Identifier: MIT */
#include "lib/net/host-port.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "lib/base/strv.h"

int host_port_split(const char *text, char **ret_host, uint16_t *ret_port)
{
    const char *colon = strrchr(text, ':');
    bool bracketed = colon && text[0] == '[' && colon > text + 1 && colon[-1] == ']';
    size_t len = colon ? (size_t) (colon - text) - (bracketed ? 2 : 0) : 0;
    uint64_t port = 0;

    if (len == 0 || str_to_u64(colon + 1, 0, UINT16_MAX, &port) < 0)
        return -EINVAL;
    *ret_host = strndup(text + bracketed, len);
    *ret_port = (uint16_t) port;
    return *ret_host ? 0 : -ENOMEM;
}

char *host_port_host(const char *text)
{
    char *host = NULL;
    uint16_t port;

    return host_port_split(text, &host, &port) < 0 ? NULL : host;
}

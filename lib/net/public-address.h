/* SPDX-License-Identifier: MIT */
/* Which addresses lie on the public Internet, for requests to places that somebody else has named. */
#pragma once

#include <stdbool.h>
#include <sys/socket.h>

/* False for this machine, private networks, link-local, shared, documentation and multicast addresses, and whatever is no IP
 * address. An IPv4 address inside an IPv6 one is judged as itself. */
bool address_is_public(const struct sockaddr *address);
bool address_is_loopback(const struct sockaddr *address);

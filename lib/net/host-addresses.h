/* SPDX-License-Identifier: MIT */
/* By which addresses others on its own network reach this machine. */
#pragma once

#include <stdbool.h>
#include <sys/socket.h>

#include "lib/base/mem.h"

#define HOST_ADDRESSES_MAX 32

/* Whether an in_addr or in6_addr is of no public network: private (RFC 1918, RFC 4193), link-local (RFC 3927, RFC 4291) or
 * loopback. Other families: false. */
bool address_is_private(int family, const void *address);

/* The private addresses of the interfaces that are up, sorted, each once, in the form of inet_ntop(3); a new list. Without
 * link-local IPv6, which means nothing without its interface; without interfaces of container and virtual networks, which
 * nobody outside reaches; and without loopback unless asked for. More than HOST_ADDRESSES_MAX are cut. Negative errno. */
int host_addresses(bool with_loopback, char ***ret) _must_check_;

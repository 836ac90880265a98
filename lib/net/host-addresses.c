/* SPDX-License-Identifier: MIT */
#include "lib/net/host-addresses.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>

#include "lib/base/strv.h"

static bool is_private4(const struct in_addr *a)
{
    uint32_t n = ntohl(a->s_addr);

    return n >> 24 == 10 || n >> 20 == 0xac1 || n >> 16 == 0xc0a8 || n >> 16 == 0xa9fe || n >> 24 == 127;
}

static bool is_private6(const struct in6_addr *a)
{
    return (a->s6_addr[0] & 0xfe) == 0xfc || IN6_IS_ADDR_LINKLOCAL(a) || IN6_IS_ADDR_LOOPBACK(a);
}

bool address_is_private(int family, const void *address)
{
    return family == AF_INET ? is_private4(address) : family == AF_INET6 && is_private6(address);
}

/* What podman, docker and libvirt call theirs. */
static bool is_virtual(const char *interface)
{
    static const char *const prefixes[] = { "podman", "cni-", "docker", "br-", "veth", "virbr" };

    for (size_t i = 0; i < ELEMENTSOF(prefixes); i++)
        if (str_starts(interface, prefixes[i]))
            return true;
    return false;
}

static const void *address_of(const struct sockaddr *a)
{
    if (a && a->sa_family == AF_INET)
        return &((const struct sockaddr_in *) (const void *) a)->sin_addr;
    if (a && a->sa_family == AF_INET6)
        return &((const struct sockaddr_in6 *) (const void *) a)->sin6_addr;
    return NULL;
}

static int add(char ***list, const struct ifaddrs *i, bool with_loopback)
{
    char text[INET6_ADDRSTRLEN];
    const void *address = address_of(i->ifa_addr);

    if (!address || !(i->ifa_flags & IFF_UP) || (!with_loopback && (i->ifa_flags & IFF_LOOPBACK)) ||
        is_virtual(i->ifa_name) || !address_is_private(i->ifa_addr->sa_family, address) ||
        !inet_ntop(i->ifa_addr->sa_family, address, text, sizeof(text)) || str_starts(text, "fe80:") ||
        strv_contains(*list, text) || strv_length(*list) >= HOST_ADDRESSES_MAX)
        return 0;
    return strv_add(list, text);
}

int host_addresses(bool with_loopback, char ***ret)
{
    _cleanup_(strv_freep) char **list = NULL;
    struct ifaddrs *all = NULL;
    int r = 0;

    if (getifaddrs(&all) < 0)
        return -errno;
    for (const struct ifaddrs *i = all; i && r >= 0; i = i->ifa_next)
        r = add(&list, i, with_loopback);
    freeifaddrs(all);
    if (r < 0)
        return r;
    if (list)
        strv_sort(list);
    *ret = TAKE_PTR(list);
    return 0;
}

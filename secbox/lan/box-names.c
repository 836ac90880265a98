/* SPDX-License-Identifier: MIT */
#include "secbox/lan/box-names.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fileio.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "secbox/lan/authority.h"

#define ADDRESSES_FILE_MAX 4096

static bool is_private4(const struct in_addr *a)
{
    uint32_t n = ntohl(a->s_addr);

    return n >> 24 == 10 || n >> 20 == 0xac1 || n >> 16 == 0xc0a8 || n >> 16 == 0xa9fe || n >> 24 == 127;
}

static bool is_private6(const struct in6_addr *a)
{
    return (a->s6_addr[0] & 0xfe) == 0xfc || IN6_IS_ADDR_LINKLOCAL(a) || IN6_IS_ADDR_LOOPBACK(a);
}

/* Addresses in their one form, and only those that the authority may vouch for; names as they are. NULL: not usable. */
static const char *canonical(const char *text, char buf[static INET6_ADDRSTRLEN])
{
    struct in6_addr six;
    struct in_addr four;

    if (inet_pton(AF_INET, text, &four) == 1)
        return is_private4(&four) ? inet_ntop(AF_INET, &four, buf, INET6_ADDRSTRLEN) : NULL;
    if (inet_pton(AF_INET6, text, &six) == 1)
        return is_private6(&six) ? inet_ntop(AF_INET6, &six, buf, INET6_ADDRSTRLEN) : NULL;
    /* "box.secbox.local" is below the only name that the authority may vouch for; other names are not */
    return str_ends(text, "." LAN_HOST) && strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789.-") == strlen(text)
               ? text
               : NULL;
}

bool box_name_is_usable(const char *name)
{
    char buf[INET6_ADDRSTRLEN];

    return canonical(name, buf) != NULL;
}

static int add(char ***names, const char *text)
{
    char buf[INET6_ADDRSTRLEN];
    const char *name = canonical(text, buf);

    if (!name || strv_contains(*names, name) || strv_length(*names) >= BOX_NAMES_MAX)
        return 0;
    return strv_add(names, name);
}

static int add_list(char ***names, const char *list, const char *separators)
{
    _cleanup_(freep) char *copy = strdup(list);
    char *rest = NULL;
    int r = copy ? 0 : -ENOMEM;

    for (char *word = copy ? strtok_r(copy, separators, &rest) : NULL; word && r >= 0;
         word = strtok_r(NULL, separators, &rest))
        r = add(names, word);
    return r;
}

static int add_written(char ***names, const char *run_dir)
{
    _cleanup_(freep) char *path = path_join(run_dir, "addresses"), *text = NULL;

    if (!path)
        return -ENOMEM;
    return file_read(path, ADDRESSES_FILE_MAX, &text, NULL, NULL) < 0 ? 0 : add_list(names, text, " \r\n");
}

static int add_own(char ***names)
{
    struct ifaddrs *list = NULL;
    char text[INET6_ADDRSTRLEN];
    int r = 0;

    if (getifaddrs(&list) < 0)
        return 0;
    for (const struct ifaddrs *i = list; i && r >= 0; i = i->ifa_next) {
        int family = i->ifa_addr ? i->ifa_addr->sa_family : AF_UNSPEC;
        const void *addr =
            family == AF_INET    ? (const void *) &((const struct sockaddr_in *) (const void *) i->ifa_addr)->sin_addr
            : family == AF_INET6 ? (const void *) &((const struct sockaddr_in6 *) (const void *) i->ifa_addr)->sin6_addr
                                 : NULL;
        /* a link-local address cannot stand in a URL without its interface */
        if (addr && (i->ifa_flags & IFF_UP) && inet_ntop(family, addr, text, sizeof(text)) &&
            !str_starts(text, "fe80:"))
            r = add(names, text);
    }
    freeifaddrs(list);
    return r;
}

int box_names(const char *run_dir, const char *more, char ***ret, Error *err)
{
    _cleanup_(strv_freep) char **names = NULL;
    int r = strv_add(&names, LAN_HOST);

    if (r >= 0)
        r = strv_add(&names, "localhost");
    if (r >= 0 && more)
        r = add_list(&names, more, ", ");
    if (r >= 0)
        r = add_written(&names, run_dir);
    if (r >= 0)
        r = add_own(&names);
    if (r < 0)
        return error_from_errno(err, r, "cannot tell the box's names");
    strv_sort(names + 1);
    *ret = TAKE_PTR(names);
    return 0;
}

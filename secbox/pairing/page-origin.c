/* SPDX-License-Identifier: MIT */
/* Who may speak to the page: pure, but for the machine's own name. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lib/base/strv.h"
#include "secbox/pairing/page.h"

#define HOST_MAX 255

static bool is_own_name(const char *name)
{
    char own[HOST_MAX + 1] = "", local[HOST_MAX + 8];

    if (strcasecmp(name, "localhost") == 0 || strcasecmp(name, "secbox.local") == 0)
        return true;
    if (gethostname(own, HOST_MAX) < 0 || !own[0])
        return false;
    snprintf(local, sizeof(local), "%s.local", own);
    return strcasecmp(name, own) == 0 || strcasecmp(name, local) == 0;
}

bool page_host_is_ours(const char *host)
{
    char name[HOST_MAX + 1];
    struct in6_addr addr;
    size_t len;

    if (!host || strlen(host) > HOST_MAX)
        return false;
    if (*host == '[') {
        len = strcspn(++host, "]");
        if (host[len] != ']')
            return false;
    } else {
        len = strcspn(host, ":");
    }
    snprintf(name, sizeof(name), "%.*s", (int) len, host);
    return inet_pton(AF_INET, name, &addr) == 1 || inet_pton(AF_INET6, name, &addr) == 1 || is_own_name(name);
}

bool page_is_from_elsewhere(const char *host, const char *origin, const char *site)
{
    if (site && !str_equal(site, "same-origin"))
        return true;
    return origin && !(str_starts(origin, "http://") && str_equal(origin + strlen("http://"), host));
}

/* SPDX-License-Identifier: MIT */
#include "lib/http/origin.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/strv.h"

#define HOST_MAX 255

bool http_host_is_ours(const char *host, bool (*is_name)(const char *name, void *userdata), void *userdata)
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
    return inet_pton(AF_INET, name, &addr) == 1 || inet_pton(AF_INET6, name, &addr) == 1 || is_name(name, userdata);
}

bool http_is_from_elsewhere(const char *scheme, const char *host, const char *origin, const char *site)
{
    size_t len = strlen(scheme);

    /* "none": a person has typed it */
    if (site && !str_equal(site, "same-origin") && !str_equal(site, "none"))
        return true;
    return origin && !(str_starts(origin, scheme) && str_starts(origin + len, "://") && host &&
                       str_equal(origin + len + strlen("://"), host));
}

char *http_origin_of(const char *url)
{
    static const char *const usual[] = { "https", ":443", "http", ":80" };
    const char *host = strstr(url, "://");
    char *origin = host ? strndup(url, (size_t) (host - url) + 3 + strcspn(host + 3, "/?#")) : NULL;

    for (char *p = origin; p && *p; p++)
        if (*p >= 'A' && *p <= 'Z')
            *p = (char) (*p - 'A' + 'a');
    for (size_t i = 0; origin && i < ELEMENTSOF(usual); i += 2)
        if ((size_t) (host - url) == strlen(usual[i]) && str_starts(origin, usual[i]) && str_ends(origin, usual[i + 1]))
            origin[strlen(origin) - strlen(usual[i + 1])] = '\0';
    return origin;
}

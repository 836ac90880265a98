/* SPDX-License-Identifier: MIT */
/* What the machine that shows the page is called. */
#include <limits.h>
#include <stdio.h>
#include <strings.h>
#include <unistd.h>

#include "lib/http/origin.h"
#include "secbox/pairing/page.h"

static bool is_own_name(const char *name, void *userdata)
{
    char own[HOST_NAME_MAX + 1] = "", local[HOST_NAME_MAX + 8];

    (void) userdata;
    if (strcasecmp(name, "localhost") == 0 || strcasecmp(name, "secbox.local") == 0)
        return true;
    if (gethostname(own, HOST_NAME_MAX) < 0 || !own[0])
        return false;
    snprintf(local, sizeof(local), "%s.local", own);
    return strcasecmp(name, own) == 0 || strcasecmp(name, local) == 0;
}

bool page_host_is_ours(const char *host)
{
    return http_host_is_ours(host, is_own_name, NULL);
}

/* SPDX-License-Identifier: MIT */
/* See access-routes.h. */
#include "gateway/sessions/access-routes.h"

#include <errno.h>
#include <string.h>

#include "lib/base/strv.h"

static const AccessRoute all_routes[ACCESS_ROUTES_MAX] = {
    { ROLE_DEVICE, "device", "device tunnel" },
    { ROLE_MGMT, "mgmt", "mgmt-link" },
    { ROLE_RECOVERY, "recovery", "recovery-agent" },
};

int access_routes_parse(const char *text, AccessRoute ret[static ACCESS_ROUTES_MAX], size_t *ret_n, Error *err)
{
    if (!text || str_equal(text, "auto")) {
        memcpy(ret, all_routes, sizeof(all_routes));
        *ret_n = ACCESS_ROUTES_MAX;
        return 0;
    }
    for (size_t i = 0; i < ACCESS_ROUTES_MAX; i++) {
        if (str_equal(text, all_routes[i].name)) {
            ret[0] = all_routes[i];
            *ret_n = 1;
            return 0;
        }
    }
    return error_set(err, EINVAL, "bridge.way", "a way in is auto, device, mgmt or recovery");
}

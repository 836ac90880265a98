/* SPDX-License-Identifier: MIT */
#include "compose/model/device.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/strv.h"

#define GPUS_MAX 64
#define NVIDIA_GPU "nvidia.com/gpu="

bool device_is_cdi(const char *text)
{
    const char *slash = strchr(text, '/'), *equals = slash ? strchr(slash, '=') : NULL;

    return isalpha((unsigned char) *text) && equals && equals > slash + 1 && equals[1] && !strchr(text, ':');
}

static bool is_permissions(const char *text)
{
    size_t n = strlen(text);

    return n > 0 && n <= 3 && strspn(text, "rwm") == n;
}

int device_split(const char *text, DeviceParts *ret)
{
    _cleanup_(freep) char *copy = strdup(text);
    char *container = copy ? strstr(copy, ":/") : NULL;
    char *last = copy ? strrchr(container ? container + 1 : copy, ':') : NULL;
    const char *permissions = last && is_permissions(last + 1) ? last + 1 : NULL;

    if (!copy)
        return -ENOMEM;
    if (permissions)
        *last = '\0';
    if (container)
        *container++ = '\0';
    *ret = (DeviceParts) { .host = strdup(copy),
                           .container = container ? strdup(container) : NULL,
                           .permissions = permissions ? strdup(permissions) : NULL };
    if (ret->host && (!container || ret->container) && (!permissions || ret->permissions))
        return 0;
    device_parts_done(ret);
    return -ENOMEM;
}

void device_parts_done(DeviceParts *d)
{
    free(d->host);
    free(d->container);
    free(d->permissions);
    *d = (DeviceParts) {};
}

int device_name_gpus(const char *driver, const char *count, char *const *ids, char ***ret)
{
    bool is_cdi = str_equal(driver, "cdi");
    uint64_t n = 0;
    int r = 0;

    if (!str_empty(driver) && !str_equal(driver, "nvidia") && !is_cdi)
        return -ENOTSUP;
    for (size_t i = 0; r >= 0 && ids && ids[i]; i++)
        r = strv_addf(ret, "%s%s", is_cdi ? "" : NVIDIA_GPU, ids[i]);
    if (r < 0 || (ids && *ids) || is_cdi)
        return r < 0 ? r : *ret ? 0 : -EINVAL;
    if (str_empty(count) || str_equal(count, "all") || str_equal(count, "-1"))
        return strv_add(ret, NVIDIA_GPU "all");
    if (str_to_u64(count, 1, GPUS_MAX, &n) < 0)
        return -EINVAL;
    for (uint64_t i = 0; r >= 0 && i < n; i++)
        r = strv_addf(ret, NVIDIA_GPU "%u", (unsigned) i);
    return r;
}

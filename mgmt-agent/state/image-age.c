/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/state/image-age.h"

#define CREATED_LABEL "org.opencontainers.image.created"
#define OLDEST_USEC (UINT64_C(1262304000) * USEC_PER_SEC) /* 2010 */

static bool is_possible(const char *text, usec_t now, usec_t *ret)
{
    return rfc3339_parse(text, ret) == 0 && *ret >= OLDEST_USEC && *ret <= now;
}

usec_t image_made_at(const cJSON *info, usec_t now)
{
    usec_t at;

    if (is_possible(json_string(cJSON_GetObjectItemCaseSensitive(info, "Labels"), CREATED_LABEL), now, &at) ||
        is_possible(json_string(info, "Created"), now, &at))
        return at;
    return 0;
}

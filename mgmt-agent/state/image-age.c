/* SPDX-License-Identifier: MIT */
/* timestamp_parse() reads only the form that we write; images are dated by anybody. */

#include "mgmt-agent/state/image-age.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/base/strv.h"

#define CREATED_LABEL "org.opencontainers.image.created"
#define OLDEST_USEC (UINT64_C(1262304000) * USEC_PER_SEC) /* 2010 */

static const char *skip_fraction(const char *p)
{
    if (*p != '.')
        return p;
    p++;
    if (!isdigit((unsigned char) *p))
        return NULL;
    while (isdigit((unsigned char) *p))
        p++;
    return p;
}

/* "Z", "+02:00": seconds east of UTC. */
static int parse_offset(const char *p, int *ret)
{
    unsigned hours, minutes;
    int n = 0;

    if (str_equal(p, "Z") || str_equal(p, "z")) {
        *ret = 0;
        return 0;
    }
    if ((*p != '+' && *p != '-') || strlen(p) != 6 || sscanf(p + 1, "%2u:%2u%n", &hours, &minutes, &n) != 2 || n != 5 ||
        hours > 23 || minutes > 59)
        return -EINVAL;
    *ret = (int) (hours * 3600 + minutes * 60) * (*p == '-' ? -1 : 1);
    return 0;
}

int rfc3339_parse(const char *s, usec_t *ret)
{
    struct tm tm = {};
    const char *p = s ? strptime(s, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;
    int offset = 0;
    time_t at;

    p = p ? skip_fraction(p) : NULL;
    if (!p || parse_offset(p, &offset) < 0)
        return -EINVAL;
    at = timegm(&tm);
    if (at == (time_t) -1 || at - offset < 0)
        return -EINVAL;
    *ret = (usec_t) (at - offset) * USEC_PER_SEC;
    return 0;
}

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

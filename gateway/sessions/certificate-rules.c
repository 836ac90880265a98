/* SPDX-License-Identifier: MIT */
/* See certificate-rules.h. */
#include "gateway/sessions/certificate-rules.h"

#include <errno.h>

#include "gateway/sessions/access-routes.h"
#include "lib/data/json.h"

#define LOOPBACK "127.0.0.1/32,::1/128"
/* Nobody knows how a clock goes of which nothing was heard for longer. */
#define CLOCK_TOLD_LATELY (15 * USEC_PER_MINUTE)
/* A clock that is ahead by more is no clock. */
#define AHEAD_MAX (10.0 * 365 * 86400)
/* One that is not further off is nearly right; a box tells it each minute, and may be set to another while it cannot. */
#define NEAR_SECONDS 3600.0
#define NEAR_TOLD_LATELY (2 * USEC_PER_MINUTE)

CertificateValidity certificate_validity(const BoxClock *clock, uint64_t grant_ends_at, usec_t now)
{
    CertificateValidity v = { .before = grant_ends_at };

    if (clock->age > CLOCK_TOLD_LATELY || !(clock->offset >= -NEAR_SECONDS && clock->offset <= AHEAD_MAX))
        return v;
    double here = (double) now / (double) USEC_PER_SEC, there = here + clock->offset;
    bool is_near = clock->offset <= NEAR_SECONDS;
    if (is_near ? clock->age > NEAR_TOLD_LATELY : there + CERTIFICATE_SECONDS < (double) grant_ends_at)
        return v;
    if (!is_near)
        v.after = (uint64_t) there - CERTIFICATE_SECONDS;
    v.before = (uint64_t) (here > there ? here : there) + CERTIFICATE_SECONDS;
    v.once = true;
    return v;
}

int certificate_source(const char *way, const char **ret, Error *err)
{
    AccessRoute routes[ACCESS_ROUTES_MAX];
    size_t n = 0;
    int r = access_routes_parse(way, routes, &n, err);

    if (r < 0)
        return r;
    *ret = LOOPBACK;
    for (size_t i = 0; i < n; i++)
        if (routes[i].role == ROLE_DEVICE)
            *ret = NULL;
    return 0;
}

BoxClock box_clock_read(const cJSON *question)
{
    const cJSON *clock = cJSON_GetObjectItemCaseSensitive(question, "clock");
    const cJSON *offset = cJSON_GetObjectItemCaseSensitive(clock, "offset");
    BoxClock c = { .age = USEC_INFINITY };
    uint64_t age;

    if (cJSON_IsNumber(offset) && json_u64(clock, "ageUsec", &age) >= 0)
        c = (BoxClock) { .offset = offset->valuedouble, .age = age };
    return c;
}

int box_clock_add(const BoxClock *clock, cJSON *question)
{
    cJSON *item = cJSON_CreateObject();

    if (!item || !cJSON_AddNumberToObject(item, "offset", clock->offset) ||
        json_add_u64(item, "ageUsec", clock->age) < 0) {
        cJSON_Delete(item);
        return -ENOMEM;
    }
    return json_add_item(question, "clock", item);
}

/* SPDX-License-Identifier: MIT */
#include "gateway/cameras/lately.h"

#include <stdlib.h>

#include "lib/base/map.h"

#define KEPT_MAX 4096

struct Lately {
    usec_t how_long;
    Map *told; /* what → when, owned */
};

Lately *lately_new(usec_t how_long)
{
    _cleanup_(lately_freep) Lately *l = calloc(1, sizeof(*l));

    if (!l)
        return NULL;
    l->how_long = how_long;
    l->told = map_new(free);
    return l->told ? TAKE_PTR(l) : NULL;
}

Lately *lately_free(Lately *l)
{
    if (!l)
        return NULL;
    map_free(l->told);
    free(l);
    return NULL;
}

static void forget(const Lately *l, usec_t now)
{
    const char *what;
    void *value;

    for (size_t i = 0; map_next(l->told, &i, &what, &value);) {
        const usec_t *at = value;
        if (now - *at >= l->how_long)
            map_remove(l->told, what);
    }
}

bool lately_is_news(Lately *l, const char *what, usec_t now)
{
    usec_t *at = map_get(l->told, what);

    if (at && now - *at < l->how_long)
        return false;
    if (at) {
        *at = now;
        return true;
    }
    if (map_size(l->told) >= KEPT_MAX)
        forget(l, now);
    at = map_size(l->told) < KEPT_MAX ? malloc(sizeof(*at)) : NULL;
    if (at) {
        *at = now;
        if (map_put(l->told, what, at) < 0)
            free(at);
    }
    return true;
}

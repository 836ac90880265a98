/* SPDX-License-Identifier: MIT */
#include "secbox/lan/request-throttle.h"

#include <stdlib.h>

#include "lib/base/map.h"
#include "lib/base/strv.h"
#include "lib/base/token-bucket.h"

#define BURST_SECONDS 10
#define PEOPLE_SHARE 10
#define PEOPLE_BURST_SECONDS 60
/* All strangers together: tablets on which nobody is logged in ask for the guards' names and the box's state. */
#define STRANGERS_TIMES 5
/* Sessions and browsers; when there are more, the one that came first begins anew. */
#define ASKERS_MAX 512
#define STRANGERS ""

typedef struct Asker {
    TokenBucket all, people;
} Asker;

struct RequestThrottle {
    unsigned rate;
    Map *askers;
};

RequestThrottle *request_throttle_new(unsigned rate)
{
    RequestThrottle *t = calloc(1, sizeof(*t));

    if (t && !(t->askers = map_new(free)))
        return request_throttle_free(t);
    if (t)
        t->rate = rate;
    return t;
}

RequestThrottle *request_throttle_free(RequestThrottle *t)
{
    if (t)
        map_free(t->askers);
    free(t);
    return NULL;
}

static void forget_first(RequestThrottle *t)
{
    const char *key;
    void *value;
    size_t cursor = 0;

    if (map_size(t->askers) >= ASKERS_MAX && map_next(t->askers, &cursor, &key, &value))
        map_remove(t->askers, key);
}

static Asker *asker_new(RequestThrottle *t, const char *who, usec_t now)
{
    uint64_t rate = (uint64_t) t->rate * (*who ? 1 : STRANGERS_TIMES);
    uint64_t people = rate > PEOPLE_SHARE ? rate / PEOPLE_SHARE : 1;
    Asker *a = calloc(1, sizeof(*a));

    forget_first(t);
    if (!a)
        return NULL;
    *a = (Asker) { .all = token_bucket_make(rate, rate * BURST_SECONDS, now),
                   .people = token_bucket_make(people, people * PEOPLE_BURST_SECONDS, now) };
    if (map_put(t->askers, who, a) >= 0)
        return a;
    free(a);
    return NULL;
}

/* Until there is one again. */
static usec_t wait_of(const TokenBucket *b)
{
    return (USEC_PER_SEC - b->left + b->rate - 1) / b->rate;
}

usec_t request_throttle_take(RequestThrottle *t, const char *who, bool about_people, usec_t now)
{
    Asker *a;

    if (t->rate == 0)
        return 0;
    if (!who)
        who = STRANGERS;
    a = map_get(t->askers, who);
    if (!a)
        a = asker_new(t, who, now);
    if (!a)
        return USEC_PER_SEC;
    if (!token_bucket_has(&a->all, now))
        return wait_of(&a->all);
    if (about_people && !token_bucket_take(&a->people, now))
        return wait_of(&a->people);
    (void) token_bucket_take(&a->all, now);
    return 0;
}

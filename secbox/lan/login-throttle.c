/* SPDX-License-Identifier: MIT */
#include "secbox/lan/login-throttle.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/base/map.h"
#include "lib/base/strv.h"

#define FREE_TRIES 5
#define FIRST_DELAY (30 * USEC_PER_SEC)
#define DELAY_MAX (15 * USEC_PER_MINUTE)
/* Guards and their browsers; when there are more, the one that failed first is forgotten. */
#define COUNTERS_MAX 1024

typedef struct Counter {
    unsigned failures;
    usec_t until;
} Counter;

struct LoginThrottle {
    Map *counters;
};

LoginThrottle *login_throttle_new(void)
{
    LoginThrottle *t = calloc(1, sizeof(*t));

    if (t && !(t->counters = map_new(free)))
        return login_throttle_free(t);
    return t;
}

LoginThrottle *login_throttle_free(LoginThrottle *t)
{
    if (t)
        map_free(t->counters);
    free(t);
    return NULL;
}

static char *key_of(const char *guard, const char *browser)
{
    return str_format("%s %s", guard, browser ? browser : "");
}

static Counter *counter_of(const LoginThrottle *t, const char *guard, const char *browser)
{
    _cleanup_(freep) char *key = key_of(guard, browser);

    return key ? map_get(t->counters, key) : NULL;
}

usec_t login_throttle_wait(const LoginThrottle *t, const char *guard, const char *browser, usec_t now)
{
    const Counter *c = counter_of(t, guard, browser);

    return c && c->until > now ? c->until - now : 0;
}

static usec_t delay_after(unsigned failures)
{
    usec_t delay = FIRST_DELAY;

    if (failures < FREE_TRIES)
        return 0;
    for (unsigned i = FREE_TRIES; i < failures && delay < DELAY_MAX; i++)
        delay *= 2;
    return delay < DELAY_MAX ? delay : DELAY_MAX;
}

static void forget_first(LoginThrottle *t)
{
    const char *key;
    void *value;
    size_t cursor = 0;

    if (map_size(t->counters) >= COUNTERS_MAX && map_next(t->counters, &cursor, &key, &value))
        map_remove(t->counters, key);
}

int login_throttle_failed(LoginThrottle *t, const char *guard, const char *browser, usec_t now)
{
    _cleanup_(freep) char *key = key_of(guard, browser);
    Counter *c = key ? map_get(t->counters, key) : NULL;

    if (!c && key) {
        forget_first(t);
        c = calloc(1, sizeof(*c));
        if (c && map_put(t->counters, key, c) < 0) {
            free(c);
            c = NULL;
        }
    }
    if (!c)
        return -ENOMEM;
    c->failures++;
    c->until = now + delay_after(c->failures);
    return 0;
}

void login_throttle_passed(LoginThrottle *t, const char *guard, const char *browser)
{
    _cleanup_(freep) char *key = key_of(guard, browser);

    if (key)
        map_remove(t->counters, key);
}

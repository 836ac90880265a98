/* SPDX-License-Identifier: MIT */
#include "lib/http/callers.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/map.h"
#include "lib/http/proxy-header.h"

struct HttpCallers {
    Map *map; /* by key → HttpCaller, owned */
    HttpCaller *oldest_known, *newest_known;
    size_t n_known;
};

HttpCallers *http_callers_new(void)
{
    HttpCallers *cs = calloc(1, sizeof *cs);
    if (!cs)
        return NULL;
    cs->map = map_new(free);
    if (cs->map)
        return cs;
    free(cs);
    return NULL;
}

HttpCallers *http_callers_free(HttpCallers *cs)
{
    if (!cs)
        return NULL;
    map_free(cs->map);
    free(cs);
    return NULL;
}

static void make_key(const char *address, char ret[static HTTP_CALLER_KEY_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    uint8_t network[16];
    caller_network(address, network);
    for (size_t i = 0; i < sizeof network; i++) {
        ret[2 * i] = digits[network[i] >> 4];
        ret[2 * i + 1] = digits[network[i] & 15];
    }
    ret[HTTP_CALLER_KEY_SIZE - 1] = '\0';
}

HttpCaller *http_caller_hold(HttpCallers *cs, const char *address)
{
    char key[HTTP_CALLER_KEY_SIZE];
    make_key(address, key);
    HttpCaller *c = map_get(cs->map, key);
    if (!c) {
        c = calloc(1, sizeof *c);
        if (!c)
            return NULL;
        memcpy(c->key, key, sizeof key);
        if (map_put(cs->map, key, c) < 0) {
            free(c);
            return NULL;
        }
    }
    c->n_conns++;
    return c;
}

void http_caller_release(HttpCallers *cs, HttpCaller *c)
{
    if (c && --c->n_conns == 0 && !c->known)
        map_remove(cs->map, c->key);
}

static void known_unlink(HttpCallers *cs, HttpCaller *c)
{
    if (c->older)
        c->older->newer = c->newer;
    else
        cs->oldest_known = c->newer;
    if (c->newer)
        c->newer->older = c->older;
    else
        cs->newest_known = c->older;
    c->older = c->newer = NULL;
    c->known = false;
    cs->n_known--;
}

void http_caller_note_known(HttpCallers *cs, HttpCaller *c)
{
    if (c->known)
        known_unlink(cs, c);
    c->known = true;
    c->older = cs->newest_known;
    if (c->older)
        c->older->newer = c;
    else
        cs->oldest_known = c;
    cs->newest_known = c;
    cs->n_known++;
    HttpCaller *oldest = cs->oldest_known;
    if (cs->n_known <= HTTP_CALLERS_KNOWN_MAX)
        return;
    known_unlink(cs, oldest);
    if (oldest->n_conns == 0)
        map_remove(cs->map, oldest->key);
}

size_t http_callers_count(const HttpCallers *cs)
{
    return map_size(cs->map);
}

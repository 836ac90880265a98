/* SPDX-License-Identifier: MIT */
/* In memory alone: after a restart the first use of each token is written once more. */
#include "gateway/http/token-addresses.h"

#include <string.h>

#include "gateway/auth/audit.h"
#include "lib/base/clock.h"
#include "lib/base/map.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"

/* There are a few dozen tokens, and one more with each sign-in: the oldest are forgotten. */
#define TOKENS_MAX 10000

struct TokenAddressMap {
    Store *store;
    Map *seen; /* hash of a token → address, owned */
    Map *read; /* HASH/ACTION → usec_t of the entry, owned */
};

TokenAddressMap *token_addresses_new(Store *store)
{
    TokenAddressMap *t = calloc(1, sizeof(*t));

    if (!t)
        return NULL;
    *t = (TokenAddressMap) { .store = store, .seen = map_new(free), .read = map_new(free) };
    return t->seen && t->read ? t : token_addresses_free(t);
}

TokenAddressMap *token_addresses_free(TokenAddressMap *t)
{
    if (!t)
        return NULL;
    map_free(t->seen);
    map_free(t->read);
    free(t);
    return NULL;
}

char *token_address_of(const char *peer)
{
    const char *colon = strchr(peer, ':');

    if (*peer == '[')
        return strndup(peer + 1, strcspn(peer + 1, "]"));
    /* several colons and no brackets: an IPv6 address without a port */
    return colon && !strchr(colon + 1, ':') ? strndup(peer, (size_t) (colon - peer)) : strdup(peer);
}

static void forget_oldest(Map *map)
{
    const char *oldest;
    size_t i = 0;

    if (map_next(map, &i, &oldest, NULL))
        map_remove(map, oldest);
}

void token_addresses_note(TokenAddressMap *t, const char *token_hash, const char *actor, const char *peer)
{
    char *address = token_address_of(peer);
    const char *before = map_get(t->seen, token_hash);

    if (!address || str_equal(before, address)) {
        free(address);
        return;
    }
    cJSON *detail = cJSON_CreateObject();
    if (detail && (json_add_string(detail, "from", address) < 0 || json_add_string(detail, "before", before) < 0))
        detail = (cJSON_Delete(detail), NULL);
    audit_write(t->store, &(AuditEntry) { .actor = actor, .action = "token.used", .detail = detail });
    if (!before && map_size(t->seen) >= TOKENS_MAX)
        forget_oldest(t->seen);
    if (map_put(t->seen, token_hash, address) < 0)
        free(address);
}

void token_addresses_note_read(TokenAddressMap *t, const char *token_hash, const char *actor, const char *action)
{
    _cleanup_(freep) char *key = str_format("%s/%s", token_hash, action);
    usec_t now = boottime_usec(), *at = key ? map_get(t->read, key) : NULL;

    if (!key || (at && now - *at < USEC_PER_HOUR))
        return;
    audit_write(t->store, &(AuditEntry) { .actor = actor, .action = action });
    if (at) {
        *at = now;
        return;
    }
    if (map_size(t->read) >= TOKENS_MAX)
        forget_oldest(t->read);
    at = malloc(sizeof(*at));
    if (at)
        *at = now;
    if (at && map_put(t->read, key, at) < 0)
        free(at);
}

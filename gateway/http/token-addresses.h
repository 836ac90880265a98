/* SPDX-License-Identifier: MIT */
/* From where operators' tokens are used. Each entry of the audit log names the person; the address is that of the entry
 * "token.used" before it, which is written whenever a request that may change something, or asks a box's doctor, comes from another
 * address than the one before. */
#pragma once

#include "lib/base/mem.h"
#include "lib/postgres/store.h"

typedef struct TokenAddressMap TokenAddressMap;

/* NULL when out of memory. */
TokenAddressMap *token_addresses_new(Store *store);
TokenAddressMap *token_addresses_free(TokenAddressMap *t);

/* Of a token, by its hash; `peer` as of http_peer(). */
void token_addresses_note(TokenAddressMap *t, const char *token_hash, const char *actor, const char *peer);
/* Whoever reads what others are not to know, as the audit log or a compose file: `action`, a literal, is written into the audit
 * log, once an hour for each token, since programs ask again and again. */
void token_addresses_note_read(TokenAddressMap *t, const char *token_hash, const char *actor, const char *action);

/* "192.0.2.1:443", "[2001:db8::1]:443", or either without a port: the address alone. A new string, NULL when out of memory. */
char *token_address_of(const char *peer);

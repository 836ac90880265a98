/* SPDX-License-Identifier: MIT */
/* Which operator tokens, of those that somebody looks with, have been withdrawn. Asked now and then: the tokens are noted, then the
 * database is asked about all of them at once. */
#pragma once

#include "lib/base/mem.h"
#include "lib/postgres/store.h"

typedef struct TokenWatch TokenWatch;

/* A token with this hash is not good any more. */
typedef void (*token_withdrawn_t)(const char *token_hash, void *userdata);

/* NULL when out of memory. `store` is borrowed; `who`, a literal for log lines: "those who look at cameras". */
TokenWatch *token_watch_new(Store *store, const char *who, token_withdrawn_t on_withdrawn, void *userdata);
/* NULL-safe. */
TokenWatch *token_watch_free(TokenWatch *w);
DEFINE_CLEANUP(TokenWatch, token_watch_free)

/* To be asked about with the next token_watch_ask(). However often: it is one. */
void token_watch_note(TokenWatch *w, const char *token_hash);
/* Asks, and forgets what was noted; nothing where nothing is, or an answer is still awaited. on_withdrawn comes later. */
void token_watch_ask(TokenWatch *w);

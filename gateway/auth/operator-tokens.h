/* SPDX-License-Identifier: MIT */
/* The hashes of all operator tokens that are good, in memory: made-up tokens cost the database nothing. One that is not among them
 * may have been added a moment ago, so all are read again for those who show such, at most once a second. Whether one that is among
 * them has been revoked is for the database to say. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "lib/postgres/store.h"

typedef struct OperatorTokens OperatorTokens;

/* A round is over: r is what the store said. */
typedef void (*operator_tokens_read_t)(uint64_t round, int r, void *userdata);

/* NULL when out of memory. `store` is borrowed. */
OperatorTokens *operator_tokens_new(sd_event *event, Store *store, operator_tokens_read_t on_read, void *userdata);
/* NULL-safe. */
OperatorTokens *operator_tokens_free(OperatorTokens *t);
DEFINE_CLEANUP(OperatorTokens, operator_tokens_free)

bool operator_tokens_has(const OperatorTokens *t, const char *hash);
/* The database has said that it is good no more. */
void operator_tokens_forget(OperatorTokens *t, const char *hash);
/* Has all of them read again. *ret_round is the one to wait for: it begins after this call. -ENOBUFS "auth.busy" when as many wait
 * for it as may; -ENOMEM. */
int operator_tokens_look(OperatorTokens *t, uint64_t *ret_round, Error *err) _must_check_;

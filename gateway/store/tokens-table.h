/* SPDX-License-Identifier: MIT */
/* The operators' tokens, and those by which people have signed in (sign-ins-table.h), of which only the hash is kept.
 * Changes are written to the audit log with them. */
#pragma once

#include "lib/postgres/statement.h"

extern const char schema_token_labels[];
extern const char schema_access[];

/* 0 name, 1 role as operator_role_read() takes it, 2 labels or NULL, 3 whether what a request is about has them, 4 the accounts on
 * boxes that it may log in as, an array, or NULL: all, 5 whether its use is to be written down: of the token with this hash that is
 * good. `scope` and `id` say what that is: "device", "grant" or "rollout" and its id; "listed" and "free": nothing that could be
 * out of reach; "fleet": what always is. */
Statement sql_token_owner(const char *hash, const char *scope, const char *id);
/* 0 hash: of each token that is good. */
Statement sql_token_hashes(void);
/* Writes down that it is used now; to some minutes, since each request would be a write. */
Statement sql_token_used(const char *hash);

typedef struct NewToken {
    const char *name, *hash, *role;
    const char *labels;   /* a JSON object, "{}" for a token that reaches every box */
    const char *accounts; /* a JSON array, NULL for one that may log in as anybody */
    unsigned days;        /* that it is good; 0: until it is revoked */
} NewToken;

/* 0 name: none when there is a good token of that name already. */
Statement sql_token_add(const NewToken *t);
/* 0 name, 1 since when, 2 when it was revoked, 3 role, 4 labels or NULL, 5 accounts or NULL, 6 until when it is good and
 * 7 when it was used last, NULL: for ever, never; 8 whether that is over. */
Statement sql_tokens(void);
/* 0 name: none when there is no good token of that name. */
Statement sql_token_revoke(const char *name);

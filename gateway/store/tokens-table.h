/* SPDX-License-Identifier: MIT */
/* The operators' tokens, and those by which people have signed in (sign-ins-table.h), of which only the hash is kept.
 * Changes are written to the audit log with them. */
#pragma once

#include "lib/postgres/statement.h"

extern const char schema_token_labels[];

/* 0 name, 1 role as operator_role_read() takes it, 2 labels or NULL, 3 whether what a request is about has them, 4 the accounts on
 * boxes that it may log in as, an array, or NULL: all: of the token with
 * this hash that is not revoked. `scope` and `id` say what that is: "device", "grant" or "rollout" and its id; "listed" and "free":
 * nothing that could be out of reach; "fleet": what always is. */
Statement sql_token_owner(const char *hash, const char *scope, const char *id);
/* 0 hash: of each token that is not revoked. */
Statement sql_token_hashes(void);
/* 0 name: none when there is a good token of that name already. `labels`: a JSON object, "{}" for a token that reaches every
 * box; `accounts`: a JSON array, NULL for one that may log in as anybody. */
Statement sql_token_add(const char *name, const char *hash, const char *role, const char *labels, const char *accounts);
/* 0 name, 1 since when, 2 when it was revoked, 3 role, 4 labels or NULL, 5 accounts or NULL. */
Statement sql_tokens(void);
/* 0 name: none when there is no good token of that name. */
Statement sql_token_revoke(const char *name);

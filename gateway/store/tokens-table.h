/* SPDX-License-Identifier: MIT */
/* The operators' tokens, of which only the hash is kept. Changes are written to the audit log with them. */
#pragma once

#include "lib/postgres/statement.h"

/* 0 name, 1 role: of the token with this hash that is not revoked. */
Statement sql_token_owner(const char *hash);
/* 0 hash: of each token that is not revoked. */
Statement sql_token_hashes(void);
/* 0 name: none when there is a good token of that name already. */
Statement sql_token_add(const char *name, const char *hash, const char *role);
/* 0 name, 1 since when, 2 when it was revoked, 3 role. */
Statement sql_tokens(void);
/* 0 name: none when there is no good token of that name. */
Statement sql_token_revoke(const char *name);

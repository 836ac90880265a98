/* SPDX-License-Identifier: MIT */
/* People who have signed in with a provider; of their tokens only the hash is kept. Changes are written to the audit log
 * with them. */
#pragma once

#include <stdint.h>

#include "lib/postgres/statement.h"

/* A step of the schema: the table, and the view good_tokens of all tokens that count now. */
extern const char schema_sign_ins[];

typedef struct SignInRow {
    const char *hash; /* of the token */
    const char *name, *role;
    const char *issuer, *subject;
    const char *proof; /* sign_in_proof() of the ID token, which is good for one sign-in */
    int64_t hours;
} SignInRow;

/* 0 when it ends: no row when this ID token was used before. Those that ended a month ago are forgotten. */
Statement sql_sign_in_add(const SignInRow *row);
/* 0 name: of the sign-in whose token has this hash, which ends; no row when there is none. */
Statement sql_sign_in_end(const char *hash);
/* 0 name, 1 role, 2 since when, 3 until when, 4 issuer, 5 when it was revoked: of those that are not over. */
Statement sql_sign_ins(void);
/* 0 name: a row for each sign-in of this person, which end. */
Statement sql_sign_ins_revoke(const char *name);

/* SPDX-License-Identifier: MIT */
/* Secrets that boxes and people present (the database holds only their hashes), and random ids. */
#pragma once

#include "lib/base/error.h"
#include "lib/http/server.h"

#define OPERATOR_TOKEN_PREFIX "sbx_"
#define BOOTSTRAP_PREFIX "sbb_"
#define SECRET_HASH_SIZE 65
#define RANDOM_ID_SIZE 33

/* A new random secret with 256 bits after its prefix, and the hash to store. */
int secret_make(const char *prefix, char **ret, char ret_hash[static SECRET_HASH_SIZE]) _must_check_;

/* What follows "Bearer " in the Authorization header; NULL when there is none. Borrowed. */
const char *bearer_token(const HttpExchange *x);
/* The hash of the operator token that a request shows. -EKEYREJECTED: operator.token-missing, operator.token-unknown. */
int operator_token_hash(const HttpExchange *x, char ret[static SECRET_HASH_SIZE], Error *err) _must_check_;
/* The same of a token that is at hand; NULL: none was shown. */
int operator_token_hash_of(const char *token, char ret[static SECRET_HASH_SIZE], Error *err) _must_check_;

/* 32 hexadecimal digits of randomness. 0 or -ENOMEM. */
int random_id(char ret[static RANDOM_ID_SIZE]) _must_check_;

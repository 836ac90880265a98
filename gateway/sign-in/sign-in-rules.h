/* SPDX-License-Identifier: MIT */
/* Whom a provider's ID token (OpenID Connect Core 1.0 §2) lets in, and as what. Pure. */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/auth/roles.h"
#include "lib/base/error.h"
#include "lib/data/digest.h"

#define SIGN_IN_ROLES_MAX 32
/* A token is signed for the sign-in that asked for it, a moment ago. */
#define SIGN_IN_AGE_MAX 600

typedef struct SignInRole {
    OperatorRole role;
    char *value; /* of the claim; "*": everybody whom the provider knows */
} SignInRole;

typedef struct SignInRules {
    char *issuer, *client_id; /* issuer NULL: nobody signs in */
    char *claim;              /* a string, or an array of strings, of which one has to be a role's value */
    char *name_claim;
    SignInRole roles[SIGN_IN_ROLES_MAX];
    size_t n_roles;
    unsigned hours; /* that a sign-in lasts */
} SignInRules;

/* "admin=VALUE,operator=VALUE,viewer=*". config.oidc-roles. */
int sign_in_rules_add_roles(SignInRules *rules, const char *text, Error *err) _must_check_;
void sign_in_rules_done(SignInRules *rules);

/* By which a token that is good once is known again: the hash of what is signed. An ECDSA signature has a twin that is as good, and
 * anybody can make it. */
int sign_in_proof(const char *id_token, char ret[static SHA256_HEX_SIZE]) _must_check_;

/* Of claims whose signature is right. `now`: seconds since 1970. *ret_name: a new string that may be an operator's name. Errors:
 * sign-in.refused (not from there, not for us, not of this sign-in, over, or of no verified address), sign-in.no-role. */
int sign_in_judge(const SignInRules *rules, const cJSON *claims, const char *nonce, uint64_t now, char **ret_name,
                  OperatorRole *ret_role, Error *err) _must_check_;

/* SPDX-License-Identifier: MIT */
/* POST /v1/sign-in and what belongs to it: people come with a token of their provider (OpenID Connect Core 1.0) and get
 * one of ours. */
#pragma once

#include "gateway/http/request.h"
#include "gateway/sign-in/sign-in-provider.h"
#include "gateway/sign-in/sign-in-rules.h"

typedef struct SignInApi SignInApi;

typedef struct SignInOptions {
    const char *issuer; /* NULL: nobody signs in; the rest must be NULL then, hours aside */
    const char *client_id, *roles;
    const char *claim, *name_claim; /* NULL: "groups", "email" */
    const char *ca_file;
    unsigned hours;
} SignInOptions;

/* Errors: config.oidc, config.oidc-roles. `requests` is borrowed. */
int sign_ins_new(sd_event *event, Requests *requests, const SignInOptions *options, SignInApi **ret,
                 Error *err) _must_check_;
SignInApi *sign_ins_free(SignInApi *s);
DEFINE_CLEANUP(SignInApi, sign_ins_free)

#define SIGN_IN_HOURS_DEFAULT 12
#define SIGN_IN_HOURS_MAX 168

extern const Route sign_in_routes[]; /* of SignInApi */

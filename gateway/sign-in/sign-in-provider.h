/* SPDX-License-Identifier: MIT */
/* What a provider says of itself (OpenID Connect Discovery 1.0 §4): where people sign in, and by which keys its tokens
 * are known. Asked when it is needed, and kept for an hour. */
#pragma once

#include <cjson/cJSON.h>
#include <systemd/sd-event.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"

typedef struct SignInProvider SignInProvider;

/* r is 0 or negative with err: sign-in.provider, which says what is wrong with it, or http.*. */
typedef void (*sign_in_provider_ready_t)(int r, const Error *err, void *userdata);

/* `issuer` is its URL. ca_file: PEM of its authorities; NULL: the system's. on_ready is called for each
 * sign_in_provider_ask(), or for several at once. What is given is copied but for userdata. */
int sign_in_provider_new(sd_event *event, const char *issuer, const char *ca_file, sign_in_provider_ready_t on_ready,
                         void *userdata, SignInProvider **ret, Error *err) _must_check_;
SignInProvider *sign_in_provider_free(SignInProvider *p);
DEFINE_CLEANUP(SignInProvider, sign_in_provider_free)

/* The keys (jwks_open()); NULL: there are none, or they are old. Borrowed until the loop goes on. */
const cJSON *sign_in_provider_keys(const SignInProvider *p);
/* Asks for them. Those that are there are kept until there are others. Refused within ten seconds of the last time, since strangers
 * may name keys that nobody has: -EAGAIN sign-in.provider. */
int sign_in_provider_ask(SignInProvider *p, Error *err) _must_check_;

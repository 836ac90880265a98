/* SPDX-License-Identifier: MIT */
/* What a provider says of itself (OpenID Connect Discovery 1.0 §4): where people sign in, and by which keys its tokens are known. Asked
 * when it is needed, and kept for an hour. */
#pragma once

#include <cjson/cJSON.h>
#include <systemd/sd-event.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"

typedef struct Provider Provider;

/* r is 0 or negative with err: sign-in.provider, which says what is wrong with it, or http.*. */
typedef void (*provider_ready_t)(int r, const Error *err, void *userdata);

/* `issuer` is its URL. ca_file: PEM of its authorities; NULL: the system's. on_ready is called for each provider_ask(), or for several at
 * once. What is given is copied but for userdata. */
int provider_new(sd_event *event, const char *issuer, const char *ca_file, provider_ready_t on_ready, void *userdata,
                 Provider **ret, Error *err) _must_check_;
Provider *provider_free(Provider *p);
DEFINE_CLEANUP(Provider, provider_free)

/* The keys (jwks_open()); NULL: there are none, or they are old. Borrowed until the loop goes on. */
const cJSON *provider_keys(const Provider *p);
/* Asks for them. Those that are there are kept until there are others. Refused within half a minute of the last time, since strangers
 * may name keys that nobody has: -EAGAIN sign-in.provider. */
int provider_ask(Provider *p, Error *err) _must_check_;

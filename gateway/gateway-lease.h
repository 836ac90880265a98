/* SPDX-License-Identifier: MIT */
/* One gateway serves with a database and a state folder. A second one would take the first one's sessions for lost and its boxes
 * for away: it waits until the first has been silent for a minute. */
#pragma once

#include "lib/data/key.h"
#include "lib/postgres/store.h"

typedef struct GatewayLease GatewayLease;

/* Also locks the state folder: "gateway.state-in-use". `key` signs the tokens. */
int gateway_lease_new(Store *store, const char *state_dir, const Key *key, GatewayLease **ret, Error *err) _must_check_;
GatewayLease *gateway_lease_free(GatewayLease *l);
DEFINE_CLEANUP(GatewayLease, gateway_lease_free)

typedef void (*gateway_lease_done_t)(int r, const Error *err, void *userdata);

/* Whether a question is under way. */
bool gateway_lease_asks(const GatewayLease *l);
/* Asks for the lease, or for more of it; what another call still waits for is not waited for any more. on_done runs from the loop:
 * 0, -EBUSY with "gateway.elsewhere", or as of a store_query(). Negative, and not called: nothing was asked. */
int gateway_lease_ask(GatewayLease *l, gateway_lease_done_t on_done, void *userdata) _must_check_;

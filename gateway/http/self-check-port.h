/* SPDX-License-Identifier: MIT */
/* Whether the gateway serves, tried as a client of its own: for the watchdog. */
#pragma once

#include "gateway/gateway.h"

typedef struct GatewayAlive GatewayAlive;

int gateway_alive_new(const Gateway *g, const GatewayOptions *options, GatewayAlive **ret, Error *err) _must_check_;
GatewayAlive *gateway_alive_free(GatewayAlive *a);
DEFINE_CLEANUP(GatewayAlive, gateway_alive_free)

/* For service_watchdog_start(). 0 when four questions in a row were not answered after one was: a gateway that is so busy
 * that it lets nobody else in for a while is left alone. */
int gateway_alive_check(void *alive);

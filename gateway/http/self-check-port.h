/* SPDX-License-Identifier: MIT */
/* Whether the gateway serves, tried as a client of its own: for the watchdog. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "lib/base/error.h"
#include "lib/base/mem.h"

typedef struct GatewayAlive GatewayAlive;

/* `listen` is the address that the server was given, `port` the one it has;
 * `bare`: an answer cannot be asked for, a connection has to do. */
int gateway_alive_new(sd_event *event, const char *listen, uint16_t port, bool bare, GatewayAlive **ret,
                      Error *err) _must_check_;
GatewayAlive *gateway_alive_free(GatewayAlive *a);
DEFINE_CLEANUP(GatewayAlive, gateway_alive_free)

/* For service_watchdog_start(). 0 when four tries in a row failed after one had worked: a gateway that is too busy to
 * let anybody in for a while is left alone. */
int gateway_alive_check(void *alive);

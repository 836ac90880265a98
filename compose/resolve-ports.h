/* SPDX-License-Identifier: MIT */
/* Which service gets which port of the host. */
#pragma once

#include "compose/model/project.h"
#include "compose/parse/place.h"

/* Refuses a port that two services, or one twice, would publish at the same address (compose.duplicate-port); an address
 * of IPv4 and one of IPv6 do not meet. Then every port that may be any of a range gets the first of it that is not taken
 * (compose.bad-port when there is none): always the same for the same file. `services`: for errors. */
int resolve_ports(ComposeProject *p, const Place *services) _must_check_;

/* SPDX-License-Identifier: MIT */
/* Signing orders on the operator's machine, with the keys of --key: files of `secbox-fleet keygen`, or keys that ssh-keygen knows,
 * also those in ssh-agent and on hardware, which are named by their public half. */
#pragma once

#include "gateway/fleet/fleet.h"
#include "lib/data/order.h"

#define ORDER_LIFETIME_DEFAULT USEC_PER_DAY
#define ORDER_LIFETIME_ROLLOUT (30 * USEC_PER_DAY) /* boxes come when they come */

/* Whether --key was given. */
bool fleet_signs(const Fleet *fleet);
/* One signature more by each --key. As fleet_sign(). */
int fleet_sign_envelope(const Fleet *fleet, const char *domain, const char *statement, cJSON *envelope,
                        Error *err) _must_check_;
/* Adds "order" to a request where --key was given. Of `what`, the content and `devices` are set; when it was made and how long
 * it is good (--for, else `lifetime`), the reason and the deadline come from here. key.bad, key.bad-mode, ssh.keygen,
 * order.malformed */
int fleet_sign(const Fleet *fleet, OrderKind kind, OrderStatement *what, usec_t lifetime, cJSON *request,
               Error *err) _must_check_;

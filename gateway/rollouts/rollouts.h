/* SPDX-License-Identifier: MIT */
/* Rollouts at work: which box gets its turn when, and what follows from what the boxes say. The database holds
 * everything; memory holds a copy of what is open and of what still waits for boxes that are offline, and every
 * statement that changes something names what it starts from. So a restart, a kill or a lost database changes
 * nothing, and nothing is done twice. */
#pragma once

#include "gateway/rollouts/rollouts-copy.h"

/* Listens to boxes and deployments. NULL when out of memory; what is given is borrowed. */
Rollouts *rollouts_new(sd_event *event, Store *store, Requests *requests, DeviceConns *conns, Deployments *deployments);
/* NULL-safe. */
Rollouts *rollouts_free(Rollouts *rs);

/* Now and then: looks at everything, and tries again what could not be loaded. */
void rollouts_sweep(Rollouts *rs);

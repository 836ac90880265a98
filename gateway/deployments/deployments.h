/* SPDX-License-Identifier: MIT */
/* Deployments, from the moment they are stored to the committed result: a compose file, or a new image for what runs. At most
 * one is open per box; it is in memory as long as it is open, and everything about it is in the database, so that a restart
 * loses nothing. They are opened in deployments-send.h; what is written when is in deployments-save.h. */
#pragma once

#include "gateway/deployments/bundle-keys.h"
#include "gateway/deployments/deployment-events.h"

/* Listens to the boxes. NULL when out of memory; what is given is borrowed. */
Deployments *deployments_new(Store *store, Requests *requests, DeviceConns *conns);
/* The keys of pushes' secrets, borrowed; has to be there before the first deployment. */
void deployments_take_keys(Deployments *ds, BundleKeys *keys);
/* NULL-safe. */
Deployments *deployments_free(Deployments *ds);
/* One listener, which has to be there before the first deployment. */
void deployments_listen(Deployments *ds, const DeploymentEvents *events, void *userdata);

/* Whether the box has a deployment open; whether it is of this rollout. */
bool deployments_is_busy(const Deployments *ds, const char *device);
bool deployments_is_of(const Deployments *ds, const char *device, const char *rollout);

/* Rows of sql_deployments_open(). At the start: takes the open ones over, and ends them when their boxes report on them. Later,
 * after the database was away: those that memory does not know are ended, because their requests were answered with an
 * error. */
int deployments_adopt(Deployments *ds, const StoreRows *rows, bool at_start) _must_check_;

/* Goes on writing after the store came back; gives up on those without a word for too long. */
void deployments_sweep(Deployments *ds);

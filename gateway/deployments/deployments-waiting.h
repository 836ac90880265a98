/* SPDX-License-Identifier: MIT */
/* What boxes get when they come: a push that waited for a box that was away, or the template for one that has never been sent
 * anything. A template reaches boxes that run something only by a rollout. */
#pragma once

#include "gateway/deployments/deployments-send.h"

/* Of a push that may wait for a box that is away: stores it until that comes, in the place of one that waits already, and returns
 * true; on_waits() gets the row, or none when there is no such device. */
bool deployment_waits(Deployments *ds, Request *c, const DeploymentRequest *request);
/* A box with no deployment open tells where it stands. */
void deployments_take_waiting(Deployments *ds, const DeviceConn *s, const cJSON *status);
/* Rows of sql_waiting_known(): who waits, and whether there are templates. Boxes that are here already are sent theirs. */
int deployments_adopt_waiting(Deployments *ds, const StoreRows *rows) _must_check_;
/* Something waits for the box; -ENOMEM. */
int deployments_expect_waiting(Deployments *ds, const char *device) _must_check_;
/* There is a template now, or may be; nothing waits for the box any more. */
void deployments_expect_templates(Deployments *ds);
void deployments_forget_waiting(Deployments *ds, const char *device);

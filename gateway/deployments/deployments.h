/* SPDX-License-Identifier: MIT */
/* Deployments from the operator's request, or the rollout's, to the committed result: a compose file, or a new
 * image for what runs. At most one is open per box; it is in memory as long as it is open, and everything
 * about it is in the database, so that a restart loses nothing. */
#pragma once

#include <cjson/cJSON.h>

#include "gateway/http/request.h"
#include "gateway/devices/device-connection.h"

typedef struct Deployment Deployment;

typedef struct DeploymentRequest {
    const char *compose, *reason;
    unsigned confirm_deadline; /* seconds */
    bool wait;                 /* answer with the result, not at once */
} DeploymentRequest;

/* Stores a deployment for the box args[0], sends it and answers the call, now or when it has ended. A box
 * that is not connected: 503 device.offline; one that is busy with another: 409 deployment.busy. */
void deployment_push(Request *c, const DeploymentRequest *request);

/* What a rollout gives each of its boxes; it holds all of this in the database too. */
typedef struct DeploymentOrder {
    const char *rollout, *device;
    const char *compose;                  /* a snapshot, or NULL: */
    const char *image, *digest, *service; /* an update; service may be NULL */
    unsigned confirm_deadline;            /* seconds */
} DeploymentOrder;

/* Stores a deployment together with the box's state in its rollout, and sends it. rollouts_on_stored() and
 * rollouts_on_end() tell what became of it. -ENOTCONN, -EBUSY, -ENOMEM, or what store_query() fails with. */
int deployment_order(Gateway *g, const DeploymentOrder *order, Error *err) _must_check_;
/* Whether the open deployment of this box is of this rollout. */
bool deployment_is_of(const Gateway *g, const char *device, const char *rollout);

/* What a box says. */
void deployment_on_progress(DeviceConn *s, Gateway *g, const cJSON *message);
void deployment_on_result(DeviceConn *s, Gateway *g, const cJSON *message);
/* `last` and `pending` of agent.status: ends, confirms or sends again what is open. */
void deployment_on_status(DeviceConn *s, Gateway *g, const cJSON *message);

/* At the start: takes the open ones over, to end them when their boxes speak of them. Later, after the
 * database was away: those that memory does not know are ended, because their requests were answered with an
 * error. */
int deployments_adopt(Gateway *g, const StoreRows *rows, bool at_start) _must_check_;

/* Goes on writing after the store came back; gives up on those without a word for too long. */
void deployments_sweep(Gateway *g);
Deployment *deployment_free(Deployment *d);

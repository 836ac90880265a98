/* SPDX-License-Identifier: MIT */
/* What becomes of deployments, as others hear of it: the requests that wait for news, and the rollouts. */
#pragma once

#include <inttypes.h>

#include "gateway/devices/device-connection.h"
#include "gateway/http/request.h"
#include "gateway/store/deployments-table.h"

typedef struct Deployment Deployment;
typedef struct Deployments Deployments; /* those that are open */

/* What requests wait for: device, version. Their news are a DeploymentNews. */
#define DEPLOYMENT_TOPIC "deployment/%s/%" PRIu64

typedef struct DeploymentNews {
    bool final; /* it has ended, and that is written */
} DeploymentNews;

/* To whoever asked: it is stored and was sent, or has ended at once because the box had just gone. */
typedef void (*deployment_sent_t)(Request *c, const Deployment *d);

/* What deployments are to the rollouts that they are part of. */
typedef struct DeploymentEvents {
    /* Whether the rollout still sends to boxes. */
    bool (*is_sending)(const char *rollout, void *userdata);
    /* One that was ordered is stored (0) or not. */
    void (*on_stored)(const char *rollout, const char *device, int r, void *userdata);
    /* An end is about to be written: fills in what it means for the box in its rollout, in the last members of `end`. */
    void (*on_ending)(DeploymentEnd *end, void *userdata);
    /* It is written, and the box's state with it. rollout NULL: it was no rollout's, but the box is free now. */
    void (*on_end)(const char *rollout, const char *device, const char *box_state, void *userdata);
} DeploymentEvents;

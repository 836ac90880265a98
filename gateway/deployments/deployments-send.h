/* SPDX-License-Identifier: MIT */
/* Opening deployments, for operators and for rollouts, and sending them. */
#pragma once

#include "gateway/deployments/deployment-events.h"

typedef struct DeploymentRequest {
    DeploymentKind kind; /* not DEPLOYMENT_UPDATE */
    const char *compose; /* NULL unless it is one */
    const char *bundle;  /* the digest of the files that come with it, which are here; NULL: none */
    const char *target;  /* back to this version, or as the box decides; or the version of packages or release */
    const char *project; /* that it is about; NULL: the box's own */
    const char *reason;
    const char *envelope;      /* what an operator has signed, as JSON; or NULL */
    unsigned confirm_deadline; /* seconds */
    bool may_wait;             /* for a box that is away: see deployments-waiting.h */
    deployment_sent_t on_sent; /* answers the request */
    request_rows_t on_waits;   /* in place of on_sent() */
} DeploymentRequest;

/* Stores a deployment for the box args[0] and sends it. The request is answered when that is not possible: 503
 * device.offline or device.agent-silent, 409 deployment.busy, 422 rollback.unsupported, agent-update.unsupported,
 * release.unsupported, bundle.unsupported, project.unsupported. */
void deployment_push(Deployments *ds, Request *c, const DeploymentRequest *request);

/* What a rollout gives each of its boxes; it holds all of this in the database too. */
typedef struct DeploymentOrder {
    const char *rollout, *device;
    const char *compose;                  /* a snapshot, or NULL: */
    const char *target;                   /* the version of the packages, or, with a digest, of a release; or NULL: */
    const char *image, *digest, *service; /* an update; service may be NULL */
    const char *project;                  /* of a snapshot; NULL: the box's own */
    unsigned confirm_deadline;            /* seconds */
} DeploymentOrder;

/* Stores a deployment together with the box's state in its rollout, and sends it; what becomes of it is told by
 * DeploymentEvents. -ENOTCONN, -EBUSY, -ENOMEM, or what store_query() fails with. */
int deployment_order(Deployments *ds, const DeploymentOrder *order, Error *err) _must_check_;

/* Whether the box can open what is sealed of these files, if anything is; else bundle.no-key, or that its agent is too old. */
int deployments_check_key(const Deployments *ds, const DeviceConn *s, const char *digest, Error *err) _must_check_;

/* Of a box for which something may wait: stores that as its deployment and sends it, or ends without a word. `blank`: it runs
 * nothing of ours; a template that is signed, or brings files, goes only to an agent that takes such. */
int deployment_store_waiting(Deployment *d, const DeviceConn *s, bool blank, Error *err) _must_check_;

/* Reads from the database what is to be sent, then sends it: the box has never heard of it. */
void deployment_send_again(Deployment *d);

/* SPDX-License-Identifier: MIT */
/* What a box's words mean for its open deployment, and what is kept of them. Pure: nothing is sent or written here. Private to
 * this folder. */
#pragma once

#include "gateway/deployments/deployment.h"

/* Whether the object, a message or a part of one, is about this deployment. */
bool deployment_is_named(const Deployment *d, const cJSON *object);

typedef enum StatusVerdict {
    STATUS_NOTHING,       /* says nothing about it, or nothing that counts */
    STATUS_PENDING,       /* the box works on it */
    STATUS_ENDED,         /* it has ended, with the result in `last` */
    STATUS_NEVER_ARRIVED, /* the box does not know it */
} StatusVerdict;

/* What an agent.status that came by this connection says of it. */
StatusVerdict deployment_read_status(const Deployment *d, uint64_t connection, const cJSON *status);

typedef enum ConfirmVerdict {
    CONFIRM_NOT_ASKED,      /* it is in an earlier phase */
    CONFIRM_OLD_CONNECTION, /* the connection was open before the change, and proves nothing */
    CONFIRM_WRONG_NONCE,
    CONFIRM_NOW,
} ConfirmVerdict;

/* Whether a box whose status has this as `pending` is told to keep the change. */
ConfirmVerdict deployment_judge_pending(const Deployment *d, uint64_t connection, const cJSON *pending);

typedef enum RetryVerdict {
    RETRY_NOT, /* whoever asked for it may have left long ago */
    RETRY_NOW,
    RETRY_END, /* its rollout was stopped: it ends here, so that the box gets its turn when the rollout goes on */
} RetryVerdict;

/* What becomes of one that never arrived. `sending`: its rollout still sends to boxes. */
RetryVerdict deployment_judge_retry(const Deployment *d, usec_t now, bool sending);

/* No word from the box for so long that its end is unknown. */
bool deployment_is_silent(const Deployment *d, usec_t now);

/* The state in which a deployment ends, and its HTTP status, by the box's result. */
const char *deployment_end_state(const cJSON *result);
unsigned deployment_end_status(const cJSON *result);

/* A progress message as it is stored: without what the event's key says already, and with a numeric seq. NULL when out of
 * memory. */
cJSON *deployment_event(const cJSON *message, uint64_t seq);
/* What the audit log keeps of the result of a change made at the box; the same. */
cJSON *deployment_local_detail(const cJSON *result);

/* SPDX-License-Identifier: MIT */
/* Orders that agents of an earlier time do not know, and would leave without an answer. Pure. */
#pragma once

#include <stdbool.h>

#include "lib/base/error.h"
#include "lib/data/json.h"

typedef enum AgentOrder {
    ORDER_UPDATE,   /* image.update */
    ORDER_HALTED,   /* updates.halted */
    ORDER_ROLLBACK, /* compose.rollback */
    ORDER_DOCTOR,   /* doctor.ask */
    ORDER_AGENT,    /* agent.update */
    ORDER_SIGNED,   /* none of its own: that a signature is checked */
    ORDER_BUNDLE,   /* files beside a compose file */
    ORDER_SEALED,   /* secrets among them that are sealed */
    ORDER_TRUST,    /* trust.root */
    ORDER_PROJECT,  /* what is about a project beside the box's own, and project.order */
    ORDER_RELEASE,  /* release.update */
    _ORDER_MAX,
} AgentOrder;

/* What an agent has said of itself over one connection. */
typedef struct AgentOrders {
    bool spoke; /* mgmt-agent is behind it, not only mgmt-link */
    bool takes[_ORDER_MAX];
} AgentOrders;

/* From its agent.status. */
AgentOrders agent_orders_read(const cJSON *status);
/* Why the box cannot be sent this order, for whoever asked for it: device.agent-silent (-ENOTCONN), else rollback.unsupported,
 * doctor.unsupported, agent-update.unsupported, release.unsupported, order.unsupported, bundle.unsupported or
 * project.unsupported (-EBADMSG). Rollouts pass over boxes that do not take theirs. */
int agent_orders_check(const AgentOrders *orders, AgentOrder order, const char *device, Error *err) _must_check_;

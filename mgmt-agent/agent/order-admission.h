/* SPDX-License-Identifier: MIT */
/* Orders of the cloud that change the box are taken from those whose keys are pinned on it: see lib/data/trust.h. */
#pragma once

#include "mgmt-agent/agent/agent.h"

/* Called before a message is handled. False: it was refused, or answered from what is remembered, and that is all. What root says
 * on the box needs no signature, nor does a message that changes nothing. */
bool order_admit(Agent *a, ControlClient *c, const cJSON *message, const MessageType *type);
/* Called before the change begins: after that, no order from before it is taken. */
int order_take(Agent *a, Error *err) _must_check_;
/* Of the one that is being handled, by whom it is signed; NULL: nobody had to. Borrowed. */
const char *order_signed_by(const Agent *a);
/* The message was handled. */
void order_forget(Agent *a);

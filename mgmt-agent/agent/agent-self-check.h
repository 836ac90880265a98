/* SPDX-License-Identifier: MIT */
/* Whether mgmt-agent does its work, tried the way its clients do it: a question over its own socket, and a file. */
#pragma once

#include <systemd/sd-event.h>

#include "lib/base/error.h"

typedef struct AgentAlive AgentAlive;

int agent_alive_new(sd_event *event, AgentAlive **ret, Error *err) _must_check_;
AgentAlive *agent_alive_free(AgentAlive *a);
DEFINE_CLEANUP(AgentAlive, agent_alive_free)

/* For service_watchdog_start(): 0 when the question of the time before was not answered yet. A disk that takes nothing is
 * logged once and no reason: an end would not mend it. */
int agent_alive_check(void *alive);

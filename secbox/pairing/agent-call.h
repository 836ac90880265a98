/* SPDX-License-Identifier: MIT */
/* One question to mgmt-agent over its local socket, answered by pair.report. */
#pragma once

#include <systemd/sd-event.h>

#include "lib/base/clock.h"
#include "lib/data/json.h"

typedef struct AgentCall AgentCall;

/* Called once, from the loop; `pairing` is borrowed, NULL when r < 0. The call is freed behind it. -EHOSTUNREACH: mgmt-agent does
 * not answer (agent.unreachable); -EREMOTEIO: it refuses, and err is its own. */
typedef void (*agent_call_done_t)(int r, const cJSON *pairing, const Error *err, void *userdata);

/* `request` is a message without an id. */
int agent_call_start(sd_event *event, const char *socket_path, cJSON *request, agent_call_done_t on_done,
                     void *userdata, AgentCall **ret, Error *err) _must_check_;
/* Nothing is called any more. NULL-safe. */
AgentCall *agent_call_free(AgentCall *c);

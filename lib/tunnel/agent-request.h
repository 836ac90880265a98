/* SPDX-License-Identifier: MIT */
/* One request to mgmt-agent over its local socket, with a deadline of our own: mgmt-agent may hang like anything else. */
#pragma once

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"

typedef struct AgentRequest AgentRequest;

/* Runs once, from the loop; the request is freed afterwards. r = 0: it was done and proved. -EBUSY (agent.busy): it was
 * refused for now. */
typedef void (*agent_request_done_t)(int r, const Error *err, void *userdata);

/* type is container.restart or container.recreate. Errors: request.socket when mgmt-agent does not listen. */
int agent_request_start(sd_event *event, const char *socket_path, const char *type, const char *service,
                        usec_t deadline, agent_request_done_t on_done, void *userdata, AgentRequest **ret,
                        Error *err) _must_check_;
/* Nothing is called any more; what was asked for goes on. NULL-safe. */
AgentRequest *agent_request_free(AgentRequest *q);

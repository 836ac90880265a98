/* SPDX-License-Identifier: MIT */
/* One request to mgmt-agent over its local socket, with a deadline of our own: mgmt-agent may hang like anything else. */
#pragma once

#include <cjson/cJSON.h>
#include <systemd/sd-event.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"

typedef struct AgentRequest AgentRequest;

/* Runs once, from the loop; the request is freed afterwards. r = 0: `message` is the answer, and err NULL. -EREMOTEIO: mgmt-agent
 * refuses, and err is its own (agent.busy). Others: it did not answer (request.socket, request.timeout). All is borrowed. */
typedef void (*agent_request_done_t)(int r, const cJSON *message, const Error *err, void *userdata);

/* `request` is a message without an id, which it gets; answer_type is a constant: the type of the message that ends it, if no
 * `error` does. Errors: request.socket when mgmt-agent does not listen. */
int agent_request_start(sd_event *event, const char *socket_path, cJSON *request, const char *answer_type,
                        usec_t deadline, agent_request_done_t on_done, void *userdata, AgentRequest **ret,
                        Error *err) _must_check_;
/* Nothing is called any more; what was asked for goes on. NULL-safe. */
AgentRequest *agent_request_free(AgentRequest *q);

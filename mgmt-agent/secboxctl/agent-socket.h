/* SPDX-License-Identifier: MIT */
/* One synchronous conversation with mgmt-agent, or with secbox, over its UNIX socket (docs/wire-format.md, "The local
 * socket"). Every step has a deadline. Transport failures return -EHOSTUNREACH with an agent.* id; a refusal by the agent returns
 * -EREMOTEIO with the agent's own id and sentence. */
#pragma once

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/data/json.h"

typedef struct AgentSocket AgentSocket;

/* Errors: agent.unreachable (with what to do), agent.not-allowed. */
int agent_open(const char *path, AgentSocket **ret, Error *err) _must_check_;
/* The same with secbox, which answers `data.ask`. The folder is its own: what stands there has to be a socket. */
int secbox_open(const char *path, AgentSocket **ret, Error *err) _must_check_;
AgentSocket *agent_close(AgentSocket *s);
DEFINE_CLEANUP(AgentSocket, agent_close)

int agent_send(AgentSocket *s, const cJSON *message, Error *err) _must_check_;

/* The next message about `id` before `deadline` (boottime); others, and types that are not known, are skipped. A message
 * of type `error` becomes -EREMOTEIO. Errors: agent.timeout, agent.closed, agent.bad-answer. */
int agent_receive(AgentSocket *s, const char *id, usec_t deadline, cJSON **ret, Error *err) _must_check_;

/* Sends a request and waits for the answer of type `answer` with its id. */
int agent_ask(AgentSocket *s, const cJSON *request, const char *answer, usec_t timeout, cJSON **ret,
              Error *err) _must_check_;

/* SPDX-License-Identifier: MIT */
/* How this machine and its containers are, for the cloud (health.report) and for secboxctl. */
#pragma once

#include "mgmt-agent/agent/agent.h"

int host_health_new(Agent *a, unsigned pace, HostHealth **ret, Error *err) _must_check_;
HostHealth *host_health_free(HostHealth *h);
DEFINE_CLEANUP(HostHealth, host_health_free)

/* All of these are NULL-safe. Something may have changed. */
void host_health_look(HostHealth *h);
/* A deployment begins, and podman is to have time for it: what measures its store now is ended, and begins anew later. */
void host_health_make_way(HostHealth *h);
/* A tunnel is up, on another connection than before; there is none any more. */
void host_health_connected(HostHealth *h);
void host_health_disconnected(HostHealth *h);
/* The values of the last look, borrowed; NULL before the first. */
const cJSON *host_health_values(const HostHealth *h);

/* health.ack */
void host_health_handle_ack(Agent *a, ControlClient *c, const cJSON *message);

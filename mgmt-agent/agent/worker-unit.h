/* SPDX-License-Identifier: MIT */
/* Workers outside the agent's sandbox. mgmt-agent.service may do next to nothing; what drives podman needs all that root has,
 * and what podman leaves behind (conmon, the network helpers, the containers) would inherit every restriction. So where
 * systemd runs the agent, it runs each worker as well, in a transient unit of its own. */
#pragma once

#include <stdbool.h>

#include "lib/data/json.h"

/* Whether we are mgmt-agent.service of a systemd that is process 1; elsewhere workers are plain children. */
bool worker_unit_is_needed(void);

/* Appends the command line that runs what follows it as a unit, with our standard input, output and error, and waits for its
 * end: its exit status is the worker's. -ENOMEM. */
int worker_unit_argv(char ***argv, const char *job) _must_check_;
/* `request` with the variables of our environment, which a unit does not inherit and everybody could read in its settings. */
cJSON *worker_unit_request(const cJSON *request);

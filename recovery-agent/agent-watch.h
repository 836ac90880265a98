/* SPDX-License-Identifier: MIT */
/* Watches a new version of the package secbox-agent until it has proved itself, and has it taken back when it does not; of a new
 * version of our own package it shows that we work. What is done for that is done by root, by way of path units. */
#pragma once

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"

typedef struct AgentWatch AgentWatch;

/* `up_since`: of our own tunnel, 0 while it is down; borrowed. */
int agent_watch_new(sd_event *event, const usec_t *up_since, AgentWatch **ret, Error *err) _must_check_;
/* NULL-safe. */
AgentWatch *agent_watch_free(AgentWatch *w);

/* The gateway has answered what we asked at `asked`: whether the management tunnel answers. NULL-safe. */
void agent_watch_note_probe(AgentWatch *w, usec_t asked, bool mgmt_answers);

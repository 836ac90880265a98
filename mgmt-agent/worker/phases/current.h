/* SPDX-License-Identifier: MIT */
/* What is committed, as it is remembered. */
#pragma once

#include "mgmt-agent/worker/phases/deploy.h"

/* NULL with store.current, or an error of store_inputs_digest(). */
Current *current_from_deploy(const Deploy *d, Error *err);
/* The project that it describes, with what compose_plan() reads; NULL when there is none. */
ComposeProject *current_to_project(const Current *c);
/* Its container: the one that was proved, or the one of its name that somebody has made since. -ENOENT when there is neither. */
int current_inspect(Podman *podman, const CurrentService *s, cJSON **ret, Error *err) _must_check_;
/* Behind a start that was our own doing: the processes that run now are the ones that are meant, so that nobody takes them for
 * somebody else's work. What cannot be noted is found, and said, by the next look. */
void current_note_processes(Podman *podman);

/* SPDX-License-Identifier: MIT */
/* Sees that somebody works on containers or images beside the agent: podman's own records change, or a process that was proved
 * to run has ended. It says only that there is something to look at. */
#pragma once

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "mgmt-agent/state/current.h"

typedef struct ManualChanges ManualChanges;
/* `process`: a process that was followed has ended; otherwise a list of podman's has changed. */
typedef void (*manual_changes_t)(bool process, void *userdata);

int manual_changes_new(sd_event *event, manual_changes_t on_change, void *userdata, ManualChanges **ret) _must_check_;
ManualChanges *manual_changes_free(ManualChanges *h);
DEFINE_CLEANUP(ManualChanges, manual_changes_free)

/* Watches what `current` describes, and nothing that was watched before. Best effort: without it changes are
 * seen at the next check. Calls back, later, when a process of it is gone already. */
void manual_changes_follow(ManualChanges *h, const Current *current);

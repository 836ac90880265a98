/* SPDX-License-Identifier: MIT */
/* The files that a compose file names beside itself, when it is applied or planned on the box: no cloud brings them. */
#pragma once

#include "mgmt-agent/secboxctl/secboxctl.h"

/* Leaves them where the agent's worker looks for them, and names them in the request; nothing when there are none, or with
 * --no-files. *ret is their archive, for local_files_freep() when the agent has answered. Errors: agent.not-allowed, gather.secret,
 * those of bundle_pack_add() and bundle_pack_finish(). */
int local_files_leave(const Secboxctl *ctl, const Gathered *g, cJSON *request, char **ret, Error *err) _must_check_;
/* Removes the archive: the agent has unpacked what it needs of it. */
void local_files_freep(char **path);

/* SPDX-License-Identifier: MIT */
/* The files that a compose file names beside itself, when it is applied or planned on the box: no cloud brings them. */
#pragma once

#include "mgmt-agent/secboxctl/secboxctl.h"

/* Leaves them where the agent's worker looks for them, and names them in the request; nothing when there are none, or with
 * --no-files. *ret is the path of their archive, which no other run has, for local_files_remove(). Errors: agent.not-allowed,
 * gather.secret, those of bundle_pack_add() and bundle_pack_finish(). */
int local_files_leave(const Secboxctl *ctl, const Gathered *g, cJSON *request, char **ret, Error *err) _must_check_;
/* Removes the archive, which may be NULL. Only behind an answer: before, the agent may not have unpacked it yet, and its sweep
 * removes what is left. */
void local_files_remove(const char *path);

/* SPDX-License-Identifier: MIT */
/* The compose file for people, in the host's own folder. */
#pragma once

#include "mgmt-agent/worker/phases/deploy.h"

#define BY_HAND_DIR STATE_DIR "/compose"
/* Writes BY_HAND_DIR/PROJECT.next; failing to is reported, and is no failure of the change. */
void deploy_write_by_hand(const DeployTarget *t, const PodmanUser *owner, Report *report);
/* Puts it in effect, if it is there; or forgets it. */
void deploy_keep_by_hand(Report *report, const char *project);
void deploy_drop_by_hand(const char *project);
/* Nothing of the project runs any more. */
void deploy_remove_by_hand(const char *project);

/* SPDX-License-Identifier: MIT */
/* The files that podman-compose reads. */
#pragma once

#include "mgmt-agent/worker/phases/deploy.h"

int deploy_stage(Deploy *d, Error *err) _must_check_;
void deploy_unstage(Report *report);
char *deploy_stage_path(const char *service, const char *suffix);

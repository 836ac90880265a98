/* SPDX-License-Identifier: MIT */
/* What engines need of a deployment, and what they prepare before anything is stopped. */
#pragma once

#include "mgmt-agent/worker/engine/engine.h"
#include "mgmt-agent/worker/phases/deploy.h"

/* The engine that makes a service's container; *ret_why as in engine_for(). */
const Engine *deploy_engine_of(const Box *box, const ComposeProject *p, const ComposeService *s, char **ret_why);
/* What it works with, one at a time; deploy_take_back(). */
int deploy_lend(const Box *box, const DeployTarget *t, const char *version, EngineContext *ret) _must_check_;
void deploy_take_back(EngineContext *w);

int deploy_stage(const Box *box, const DeployTarget *t, const Plan *plan, Report *report, Error *err) _must_check_;
/* Its files are gone, the folder is not. */
void deploy_unstage(Report *report);

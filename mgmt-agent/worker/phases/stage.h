/* SPDX-License-Identifier: MIT */
/* What engines need of a deployment, and what they prepare before anything is stopped. */
#pragma once

#include "mgmt-agent/worker/engine/engine.h"
#include "mgmt-agent/worker/phases/deploy.h"

/* The engine that makes a service's container; *ret_why as in engine_for(). */
const Engine *deploy_engine_of(const Deploy *d, const ComposeService *s, char **ret_why);
/* What it works with; deploy_take_back(). */
int deploy_lend(Deploy *d, EngineContext *ret) _must_check_;
void deploy_take_back(EngineContext *w);

int deploy_stage(Deploy *d, Error *err) _must_check_;
/* Its files are gone, the folder is not. */
void deploy_unstage(Report *report);

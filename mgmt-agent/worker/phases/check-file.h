/* SPDX-License-Identifier: MIT */
/* The phases before podman is asked anything: verify, parse, policy, secbox-env-ensure, secbox-env-sanity, render. Nothing is
 * touched. */
#pragma once

#include "mgmt-agent/worker/phases/deploy.h"

int deploy_verify(Deploy *d, const cJSON *message, Error *err) _must_check_;
/* The same of an order that carries no compose file. */
int deploy_verify_update(Deploy *d, const cJSON *message, Error *err) _must_check_;
int deploy_parse(Deploy *d, Error *err) _must_check_;
int deploy_policy(Deploy *d, Error *err) _must_check_;
/* The box's own policy.json; a missing one is the default. */
int deploy_load_policy(ComposePolicy **ret, Error *err) _must_check_;
int deploy_env_ensure(Box *b, Report *report, bool *ret_created, Error *err) _must_check_;
/* What deploy_env_ensure() would leave behind, in memory only: for plans. */
int deploy_env_plan(Deploy *d, Error *err) _must_check_;
int deploy_env_sanity(Deploy *d, Error *err) _must_check_;
int deploy_render(Deploy *d, Error *err) _must_check_;

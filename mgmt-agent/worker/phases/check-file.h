/* SPDX-License-Identifier: MIT */
/* The phases before podman is asked anything: verify, parse, policy, secbox-env-ensure, secbox-env-sanity, render. Nothing is
 * touched. */
#pragma once

#include "mgmt-agent/worker/phases/deploy.h"

int deploy_verify(DeployOrder *order, Box *box, Report *report, const cJSON *message, Error *err) _must_check_;
/* The same of an order that carries no compose file. */
int deploy_verify_update(DeployOrder *order, Box *box, Report *report, const cJSON *message, Error *err) _must_check_;
/* The files that come with the order, unpacked. Nothing where there are none. */
int deploy_open_bundle(const DeployOrder *order, Box *box, DeployTarget *t, Error *err) _must_check_;
int deploy_parse(const char *text, ComposeFile **ret, Error *err) _must_check_;
/* Reads the box's policy into the target, and asks it. `ran_before`: what was accepted and runs goes on; a new file is judged by
 * what the entries mean now. */
int deploy_policy(DeployTarget *t, bool ran_before, Error *err) _must_check_;
/* The box's own policy.json; a missing one is the default. */
int deploy_load_policy(ComposePolicy **ret, Error *err) _must_check_;
int deploy_env_ensure(Box *b, Report *report, bool *ret_created, Error *err) _must_check_;
/* What deploy_env_ensure() would leave behind, in memory only: for plans. */
int deploy_env_plan(Box *box, Report *report, EnvFile **ret, Error *err) _must_check_;
int deploy_env_sanity(DeployTarget *t, const char *project, Report *report, Error *err) _must_check_;
/* `engine`: COMPOSE_ENGINE of mgmt-agent.env, or NULL. */
int deploy_render(DeployTarget *t, const char *project, const char *engine, Report *report, Error *err) _must_check_;
/* Adds to a plan where the values of the file's variables are from, by name alone. */
int deploy_name_variables(const DeployTarget *t, cJSON *plan) _must_check_;

/* SPDX-License-Identifier: MIT */
/* The way to podman, which every job needs: whose it is, its driver, its socket. */
#pragma once

#include "mgmt-agent/worker/phases/deploy.h"

int deploy_open_podman(Deploy *d, Error *err) _must_check_;
/* For a job that goes on with what was: reads mgmt-agent.env itself, and after a boot waits for the podman user's service
 * manager. */
int deploy_open_again(Deploy *d, Error *err) _must_check_;

/* SPDX-License-Identifier: MIT */
/* The two ways out of a change. */
#pragma once

#include "mgmt-agent/worker/phases/deploy.h"

/* Removes old containers and makes the project current. Failing to remove one is reported, and is not a failure. */
int deploy_commit(Deploy *d, Error *err) _must_check_;
/* Brings the old containers back and checks that they run. */
int deploy_roll_back(Deploy *d, Error *err) _must_check_;

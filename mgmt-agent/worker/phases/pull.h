/* SPDX-License-Identifier: MIT */
/* Every image is here, by id, before any container stops. */
#pragma once

#include "mgmt-agent/worker/phases/deploy.h"

int deploy_pull(Deploy *d, Error *err) _must_check_;

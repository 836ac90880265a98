/* SPDX-License-Identifier: MIT */
/* Replaces what changes. */
#pragma once

#include "mgmt-agent/worker/phases/deploy.h"

int deploy_apply(Deploy *d, Error *err) _must_check_;

/* SPDX-License-Identifier: MIT */
/* Whether what runs is what was asked. */
#pragma once

#include "mgmt-agent/worker/phases/deploy.h"

int deploy_prove(Deploy *d, Error *err) _must_check_;
/* Waits until the service's container is healthy (or has ended well when `completed`). */
int deploy_wait_ready(Deploy *d, const ComposeService *s, bool completed, Error *err) _must_check_;

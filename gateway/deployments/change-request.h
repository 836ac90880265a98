/* SPDX-License-Identifier: MIT */
/* What a request says that changes a box. Pure. Private to this folder. */
#pragma once

#include "gateway/deployments/deployments-send.h"
#include "lib/data/json.h"

/* What every change takes along: deadline and reason, borrowed from the body. request.bad-deadline, request.bad-reason. */
int change_request_read(const cJSON *body, DeploymentRequest *ret, Error *err) _must_check_;
/* The version of the packages that look after the box, borrowed. agent-update.bad-version. */
int change_request_read_package(const cJSON *body, const char **ret, Error *err) _must_check_;
/* The version of a release, borrowed. release.bad-version. */
int change_request_read_release(const cJSON *body, const char **ret, Error *err) _must_check_;
/* The version to go back to, borrowed; NULL when the body names none. snapshot.bad-version. */
int change_request_read_target(const cJSON *body, const char **ret, Error *err) _must_check_;

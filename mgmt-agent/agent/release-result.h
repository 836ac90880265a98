/* SPDX-License-Identifier: MIT */
/* What the cloud is told of a release that it has ordered, in the form of a deployment's: progress and result. */
#pragma once

#include "lib/data/release-order.h"
#include "lib/data/release-record.h"
#include "mgmt-agent/agent/agent.h"

/* Of a ReleaseState, as `phase`. */
const char *release_phase(int state);

void release_progress_tell(const ReleaseOrder *order, const ReleaseRecord *record, ControlClient *to);

/* New results; NULL when out of memory. Of a record that is not open; */
cJSON *release_result_ended(const ReleaseOrder *order, const ReleaseRecord *record);
/* of what was never begun; */
cJSON *release_result_refused(const ReleaseOrder *order, const ReleaseRefusal *refusal);
/* of what could not be started. */
cJSON *release_result_failed(const ReleaseOrder *order, int status, const Error *err, int r);

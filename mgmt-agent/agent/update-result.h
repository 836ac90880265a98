/* SPDX-License-Identifier: MIT */
/* What the cloud is told of an update that something outside of us carries out, of packages or of a release: in the form of a
 * deployment's, so that history, audit log and rollouts have it like one. */
#pragma once

#include "mgmt-agent/agent/agent.h"

/* Of the order, in seconds; the default where there is none that may be. */
unsigned update_confirm_seconds(const cJSON *message);

typedef struct UpdateProgress {
    const char *id, *number, *phase, *text;
    int seq;
} UpdateProgress;

void update_progress_tell(const UpdateProgress *p, ControlClient *to);

typedef struct UpdateEnd {
    const char *id, *kind, *number;
    const char *outcome, *failed_phase; /* failed_phase NULL: it did not fail */
    int status;
    bool noop;
    bool from_cloud;
    usec_t began;
} UpdateEnd;

/* A new result; NULL when out of memory. Takes `error`, json_from_error()'s, which only a failure has. */
cJSON *update_result_make(const UpdateEnd *end, cJSON *error);
/* Before it is said; what was stored already is not there twice afterwards. */
int update_result_store(const cJSON *result, bool to_cloud, Error *err) _must_check_;

/* SPDX-License-Identifier: MIT */
/* What a plan says of the files that come with a push. */
#pragma once

#include "mgmt-agent/worker/phases/deploy.h"

#define PLAN_FILES_MAX 256

typedef struct PlanFiles {
    cJSON *list; /* as of kept_bundle_compare() */
    size_t more; /* how many differ that are not in the list */
} PlanFiles;

void plan_files_done(PlanFiles *f);

/* What differs from the files of the push that runs; no list when nothing does, or when those of before are not known any more.
 * Only with its bundle open. -ENOMEM. */
int deploy_compare_files(const Deploy *d, PlanFiles *ret) _must_check_;

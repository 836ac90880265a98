/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/worker/phases/plan-files.h"

#include <errno.h>

#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "mgmt-agent/state/snapshot-store.h"

/* The files of the push that runs; NULL when it had none. */
static int open_before(const DeployPast *before, KeptBundle **ret, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *snapshot = NULL;
    const char *digest = NULL;
    int r = before->current ? store_load_snapshot(before->current->version, &snapshot, err) : 0;

    if (r == 0 && snapshot)
        r = bundle_of_snapshot(snapshot, &digest, err);
    return r == 0 && digest ? kept_bundle_open(digest, ret, err) : r;
}

void plan_files_done(PlanFiles *f)
{
    cJSON_Delete(f->list);
    *f = (PlanFiles) {};
}

int deploy_compare_files(const Deploy *d, PlanFiles *ret)
{
    _cleanup_(kept_bundle_freep) KeptBundle *before = NULL;
    _cleanup_(cJSON_Deletep) cJSON *files = NULL;
    _cleanup_(error_done) Error err = {};
    int r = open_before(&d->before, &before, &err);

    if (r == 0)
        r = kept_bundle_compare(before, d->target.bundle, PLAN_FILES_MAX, &files, &ret->more, &err);
    if (r < 0 && r != -ENOMEM) {
        log_failure(LOG_LEVEL_WARNING, NULL, &err, r,
                    "Which files are others than those of the last push is not known");
        return 0;
    }
    if (r == 0 && cJSON_GetArraySize(files) > 0)
        ret->list = TAKE_PTR(files);
    return r;
}

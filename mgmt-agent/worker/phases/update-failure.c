/* SPDX-License-Identifier: MIT */
/* Whose fault a failed update is. */

#include "mgmt-agent/worker/phases/update-failure.h"

#include <errno.h>

#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "mgmt-agent/state/failed-images.h"

/* What an image is to blame for. That an agent was stopped, a disk was full or podman hung says nothing against it. */
static bool is_its_fault(const char *id)
{
    return id && (str_starts(id, "prove.") || str_equal(id, "apply.not-started") || str_equal(id, "update.hook") ||
                  str_equal(id, "confirm.deadline"));
}

bool update_is_to_blame(const Journal *j)
{
    return str_equal(j->kind, KIND_UPDATE) && j->failure && is_its_fault(j->failure->id);
}

static int note_failure(const ImageUpdate *update, const JournalFailure *failure, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *error = cJSON_CreateObject();
    const FailedImage failed = { .service = update->service,
                                 .image = update->image,
                                 .digest = update->digest,
                                 .image_id = update->image_id,
                                 .at = realtime_usec(),
                                 .error = error,
                                 .log = failure->log };

    if (!error || json_add_string(error, "id", failure->id) < 0 ||
        json_add_string(error, "message", failure->message) < 0)
        return -ENOMEM;
    return failed_add(&failed, err);
}

void update_note_failure(const Journal *j)
{
    if (!update_is_to_blame(j))
        return;
    for (size_t i = 0; i < j->n_updates; i++) {
        _cleanup_(error_done) Error err = {};
        int r = note_failure(&j->updates[i], j->failure, &err);

        if (r < 0)
            log_failure(LOG_LEVEL_WARNING, NULL, &err, r,
                        "Cannot remember that an image failed, it may be tried again");
    }
}

bool update_is_put_off(const Journal *j, bool from_cloud, const Error *failure)
{
    static const char *const ids[] = { "update.not-now", "update.locked", "update.too-young", "update.failed-before" };

    for (size_t i = 0; failure && !from_cloud && str_equal(j->kind, KIND_UPDATE) && i < ELEMENTSOF(ids); i++)
        if (str_equal(error_id(failure), ids[i]))
            return true;
    return false;
}

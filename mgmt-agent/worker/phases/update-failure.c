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

bool update_is_to_blame(const Deploy *d)
{
    return str_equal(d->journal.kind, KIND_UPDATE) && is_its_fault(json_string(d->journal.failure, "id"));
}

static int describe_failure(const Deploy *d, const cJSON *item, cJSON *entry)
{
    static const char *const copied[] = { "service", "image", "digest", "imageId" };
    const cJSON *failure = d->journal.failure;
    cJSON *error = cJSON_CreateObject();
    char at[TIMESTAMP_SIZE];
    int r = json_add_item(entry, "error", error);

    if (r == 0)
        r = json_add_string(error, "id", json_string(failure, "id"));
    if (r == 0)
        r = json_add_string(error, "message", json_string(failure, "message"));
    if (r == 0)
        r = json_add_string(entry, "at", timestamp_format(realtime_usec(), at));
    for (size_t i = 0; r == 0 && i < ELEMENTSOF(copied); i++)
        r = json_add_string(entry, copied[i], json_string(item, copied[i]));
    return r == 0 ? json_add_string(entry, "log", json_string(failure, "log")) : r;
}

void update_note_failure(const Deploy *d)
{
    const cJSON *item;

    if (!update_is_to_blame(d))
        return;
    cJSON_ArrayForEach(item, d->journal.updates) {
        _cleanup_(cJSON_Deletep) cJSON *entry = cJSON_CreateObject();
        _cleanup_(error_done) Error err = {};
        int r = entry ? describe_failure(d, item, entry) : -ENOMEM;

        if (r == 0)
            r = failed_add(TAKE_PTR(entry), &err);
        if (r < 0)
            log_failure(LOG_LEVEL_WARNING, NULL, &err, r,
                        "Cannot remember that an image failed, it may be tried again");
    }
}

bool update_is_put_off(const Deploy *d, const Error *failure)
{
    static const char *const ids[] = { "update.not-now", "update.locked", "update.too-young", "update.failed-before" };

    for (size_t i = 0;
         failure && !d->order.from_cloud && str_equal(d->journal.kind, KIND_UPDATE) && i < ELEMENTSOF(ids); i++)
        if (str_equal(error_id(failure), ids[i]))
            return true;
    return false;
}

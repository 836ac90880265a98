/* SPDX-License-Identifier: MIT */
/* Whose fault a failed update is. */

#include "mgmt-agent/worker/phases/update-failure.h"

#include <errno.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "mgmt-agent/state/failed-images.h"
#include "mgmt-agent/state/failure-kind.h"

static const JournalStep *step_of(const Journal *j, const char *service)
{
    for (size_t i = 0; i < j->n_steps; i++)
        if (str_equal(j->steps[i].service, service))
            return &j->steps[i];
    return NULL;
}

/* The updated service whose change took this one along, maybe by way of others; the last that is known of that way. */
static const char *origin_of(const Journal *j, const char *service)
{
    for (size_t turns = 0; turns <= j->n_steps && !journal_find_update(j, service); turns++) {
        const JournalStep *step = step_of(j, service);

        if (!step || !step->with)
            break;
        service = step->with;
    }
    return service;
}

/* A failure names its service as its key, where it has one. */
bool update_is_the_one(const Journal *j, const ImageUpdate *update)
{
    const char *failed = j->failure->key, *origin = failed ? origin_of(j, failed) : NULL;

    if (origin && journal_find_update(j, origin))
        return str_equal(update->service, origin);
    return !failed || step_of(j, failed); /* that was made anew with it, or only stood beside it */
}

bool update_is_to_blame(const Journal *j)
{
    if (!str_equal(j->kind, KIND_UPDATE) || !j->failure || failure_kind(j->failure->id) != FAILURE_OF_IMAGE)
        return false;
    for (size_t i = 0; i < j->n_updates; i++)
        if (update_is_the_one(j, &j->updates[i]))
            return true;
    return false;
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
        const ImageUpdate *update = &j->updates[i];
        int r = update_is_the_one(j, update) ? note_failure(update, j->failure, &err) : 0;

        if (r < 0)
            log_failure(LOG_LEVEL_WARNING, NULL, &err, r,
                        "Cannot remember that an image failed, it may be tried again");
    }
}

bool update_is_put_off(const Journal *j, bool from_cloud, const Error *failure)
{
    return failure && !from_cloud && str_equal(j->kind, KIND_UPDATE) &&
           failure_kind(error_id(failure)) == FAILURE_PUT_OFF;
}

void update_note_undone(const Journal *j)
{
    for (size_t i = 0; i < j->n_updates; i++) {
        const ImageUpdate *u = &j->updates[i];
        const ImageUpdate undone = { .service = u->service, .image = u->image, .image_id = u->old_image_id };
        JournalFailure why = { .id = strdup("update.undone"), .message = strdup("somebody took it back on the box") };
        _cleanup_(error_done) Error err = {};
        int r = !u->undo || !u->old_image_id ? 0
                : !why.id || !why.message    ? -ENOMEM
                                             : note_failure(&undone, &why, &err);

        if (r < 0)
            log_failure(LOG_LEVEL_WARNING, NULL, &err, r, "An image that was taken back may come again");
        free(why.id);
        free(why.message);
    }
}

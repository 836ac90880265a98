/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/agent/release-result.h"

#include <errno.h>

#include "lib/base/strv.h"
#include "mgmt-agent/agent/update-result.h"
#include "mgmt-agent/state/journal.h"

#define STATUS_DONE 200
#define STATUS_REFUSED 422
#define STATUS_BUSY 409
#define STATUS_LATER 503
#define STATUS_BACK 500

const char *release_phase(int state)
{
    static const char *const phases[_RELEASE_STATES] = {
        [RELEASE_STAGED] = "stage",
        [RELEASE_SWITCHING] = "apply",
        [RELEASE_PROVING] = "prove",
        [RELEASE_GOING_BACK] = "roll-back",
    };

    return phases[state] ? phases[state] : "stage";
}

void release_progress_tell(const ReleaseOrder *order, const ReleaseRecord *record, ControlClient *to)
{
    _cleanup_(freep) char *text =
        str_format("%s -> %s: %s", record->from, record->to, release_state_name(record->state));
    const UpdateProgress p = { .id = order->id,
                               .number = order->number,
                               .phase = release_phase(record->state),
                               .text = text,
                               .seq = record->state };

    update_progress_tell(&p, to);
}

/* `failed_phase` NULL: it did not fail; takes `error`. */
static cJSON *make(const ReleaseOrder *order, int status, const char *failed_phase, const char *from, cJSON *error)
{
    const UpdateEnd end = {
        .id = order->id,
        .kind = KIND_RELEASE,
        .number = order->number,
        .outcome = !failed_phase           ? "done"
                   : status == STATUS_BACK ? "rolled-back"
                                           : "failed",
        .failed_phase = failed_phase,
        .status = status,
        .noop = !from,
        .from_cloud = true,
        .began = order->at,
    };
    _cleanup_(cJSON_Deletep) cJSON *m = update_result_make(&end, error);
    cJSON *release = cJSON_CreateObject();

    if (json_add_item(m, "release", release) < 0 || json_add_string(release, "from", from) < 0 ||
        json_add_string(release, "to", order->to) < 0)
        return NULL;
    return TAKE_PTR(m);
}

cJSON *release_result_failed(const ReleaseOrder *order, int status, const Error *err, int r)
{
    return make(order, status, "stage", NULL, json_from_error(err, r));
}

cJSON *release_result_refused(const ReleaseOrder *order, const ReleaseRefusal *refusal)
{
    const char *id = refusal->error ? refusal->error : "release.start";
    _cleanup_(error_done) Error err = {};

    if (str_equal(id, "release.runs-already"))
        return make(order, STATUS_DONE, NULL, NULL, NULL);
    int r = error_set(&err, EPERM, id, "%s", refusal->text ? refusal->text : "no reason was noted");
    return release_result_failed(order, str_equal(id, "release.busy") ? STATUS_BUSY : STATUS_REFUSED, &err, r);
}

cJSON *release_result_ended(const ReleaseOrder *order, const ReleaseRecord *record)
{
    const char *why = record->why ? record->why : "no reason was noted";
    _cleanup_(error_done) Error err = {};
    int r;

    if (record->state == RELEASE_CONFIRMED)
        return make(order, STATUS_DONE, NULL, record->from, NULL);
    if (record->state == RELEASE_FAILED) {
        r = error_set(&err, EIO, "release.interrupted", "%s", why);
        return make(order, STATUS_LATER, "stage", record->from, json_from_error(&err, r));
    }
    r = error_set(&err, EIO, "release.rolled-back", "%s", why);
    return make(order, STATUS_BACK, "prove", record->from, json_from_error(&err, r));
}

/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/agent/release-result.h"

#include <errno.h>

#include "lib/base/strv.h"
#include "mgmt-agent/state/order-floors.h"

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

static char *sentence(const ReleaseRecord *record)
{
    return str_format("%s -> %s: %s", record->from, record->to, release_state_name(record->state));
}

void release_progress_tell(const ReleaseOrder *order, const ReleaseRecord *record, ControlClient *to)
{
    _cleanup_(cJSON_Deletep) cJSON *m = message_new("compose.progress");
    _cleanup_(freep) char *text = sentence(record);
    char at[TIMESTAMP_SIZE];

    if (!m || !text || json_add_string(m, "id", order->id) < 0 || json_add_string(m, "version", order->number) < 0 ||
        json_add_string(m, "phase", release_phase(record->state)) < 0 || json_add_string(m, "state", "started") < 0 ||
        json_add_string(m, "message", text) < 0 ||
        json_add_string(m, "at", timestamp_format(realtime_usec(), at)) < 0 ||
        json_add_int(m, "seq", record->state) < 0)
        return;
    control_send(to, m);
}

typedef struct End {
    int status;
    const char *outcome, *failed_phase; /* failed_phase NULL: it did not fail */
    bool noop;
} End;

static cJSON *make(const ReleaseOrder *order, const End *end, const char *from, cJSON *error)
{
    _cleanup_(cJSON_Deletep) cJSON *m = message_new("compose.result"), *why = error;
    cJSON *release = cJSON_CreateObject();
    usec_t now = realtime_usec();
    char at[TIMESTAMP_SIZE];
    int r = json_add_item(m, "release", release);

    if (r < 0 || json_add_string(release, "from", from) < 0 || json_add_string(release, "to", order->to) < 0 ||
        json_add_string(m, "id", order->id) < 0 || json_add_string(m, "kind", KIND_RELEASE) < 0 ||
        json_add_string(m, "version", order->number) < 0 || json_add_int(m, "status", end->status) < 0 ||
        json_add_string(m, "phase", end->failed_phase ? end->failed_phase : "done") < 0 ||
        json_add_string(m, "outcome", end->outcome) < 0 || json_add_string(m, "failedPhase", end->failed_phase) < 0 ||
        order_floors_describe(m) < 0 ||
        json_add_int(m, "seconds", now > order->at ? (int) ((now - order->at) / USEC_PER_SEC) : 0) < 0 ||
        json_add_string(m, "at", timestamp_format(now, at)) < 0)
        return NULL;
    if (end->failed_phase ? json_add_item(m, "error", TAKE_PTR(why)) < 0 : json_add_bool(m, "noop", end->noop) < 0)
        return NULL;
    return TAKE_PTR(m);
}

cJSON *release_result_failed(const ReleaseOrder *order, int status, const Error *err, int r)
{
    const End end = { status, "failed", "stage", false };

    return make(order, &end, NULL, json_from_error(err, r));
}

cJSON *release_result_refused(const ReleaseOrder *order, const ReleaseRefusal *refusal)
{
    const char *id = refusal->error ? refusal->error : "release.start";
    const End same = { STATUS_DONE, "done", NULL, true };
    _cleanup_(error_done) Error err = {};

    if (str_equal(id, "release.runs-already"))
        return make(order, &same, NULL, NULL);
    int r = error_set(&err, EPERM, id, "%s", refusal->text ? refusal->text : "no reason was noted");
    return release_result_failed(order, str_equal(id, "release.busy") ? STATUS_BUSY : STATUS_REFUSED, &err, r);
}

cJSON *release_result_ended(const ReleaseOrder *order, const ReleaseRecord *record)
{
    static const End done = { STATUS_DONE, "done", NULL, false }, back = { STATUS_BACK, "rolled-back", "prove", false },
                     failed = { STATUS_LATER, "failed", "stage", false };
    const char *why = record->why ? record->why : "no reason was noted";
    _cleanup_(error_done) Error err = {};
    int r;

    if (record->state == RELEASE_CONFIRMED)
        return make(order, &done, record->from, NULL);
    if (record->state == RELEASE_FAILED) {
        r = error_set(&err, EIO, "release.interrupted", "%s", why);
        return make(order, &failed, record->from, json_from_error(&err, r));
    }
    r = error_set(&err, EIO, "release.rolled-back", "%s", why);
    return make(order, &back, record->from, json_from_error(&err, r));
}

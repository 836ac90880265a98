/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/agent/update-result.h"

#include "mgmt-agent/state/order-floors.h"
#include "mgmt-agent/state/snapshot-store.h"

unsigned update_confirm_seconds(const cJSON *message)
{
    uint64_t seconds = CONFIRM_SECONDS_DEFAULT;

    if (json_u64(message, "confirmDeadlineSeconds", &seconds) < 0 || seconds < CONFIRM_SECONDS_MIN ||
        seconds > CONFIRM_SECONDS_MAX)
        seconds = CONFIRM_SECONDS_DEFAULT;
    return (unsigned) seconds;
}

void update_progress_tell(const UpdateProgress *p, ControlClient *to)
{
    _cleanup_(cJSON_Deletep) cJSON *m = p->text ? message_new("compose.progress") : NULL;
    char at[TIMESTAMP_SIZE];

    if (!m || json_add_string(m, "id", p->id) < 0 || json_add_string(m, "version", p->number) < 0 ||
        json_add_string(m, "phase", p->phase) < 0 || json_add_string(m, "state", "started") < 0 ||
        json_add_string(m, "message", p->text) < 0 ||
        json_add_string(m, "at", timestamp_format(realtime_usec(), at)) < 0 || json_add_int(m, "seq", p->seq) < 0)
        return;
    control_send(to, m);
}

cJSON *update_result_make(const UpdateEnd *end, cJSON *error)
{
    _cleanup_(cJSON_Deletep) cJSON *m = message_new("compose.result"), *why = error;
    usec_t now = realtime_usec();
    char at[TIMESTAMP_SIZE];

    if (!m || json_add_string(m, "id", end->id) < 0 || json_add_string(m, "kind", end->kind) < 0 ||
        json_add_string(m, "version", end->number) < 0 || json_add_int(m, "status", end->status) < 0 ||
        json_add_string(m, "phase", end->failed_phase ? end->failed_phase : "done") < 0 ||
        json_add_string(m, "outcome", end->outcome) < 0 || json_add_string(m, "failedPhase", end->failed_phase) < 0 ||
        (end->from_cloud && order_floors_describe(m) < 0) ||
        json_add_int(m, "seconds", now > end->began ? (int) ((now - end->began) / USEC_PER_SEC) : 0) < 0 ||
        json_add_string(m, "at", timestamp_format(now, at)) < 0)
        return NULL;
    if (end->failed_phase ? json_add_item(m, "error", TAKE_PTR(why)) < 0 : json_add_bool(m, "noop", end->noop) < 0)
        return NULL;
    return TAKE_PTR(m);
}

int update_result_store(const cJSON *result, bool to_cloud, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *before = agent_find_result(json_string(result, "id"));
    int r = to_cloud ? store_save_unacked(result, err) : 0;

    return r >= 0 && !before ? store_add_history(result, err) : r;
}

/* SPDX-License-Identifier: MIT */
/* As the result of a deployment, so that history, audit log and rollouts have it like one. It is stored before it is said. */
#include <errno.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "mgmt-agent/agent/package-update-impl.h"
#include "mgmt-agent/state/order-floors.h"
#include "mgmt-agent/state/snapshot-store.h"
#include "mgmt-agent/state/state-file.h"

#define STATE_FILE "agent-update.json"

static const struct {
    AgentUpdateState state;
    const char *outcome, *failed_phase;
    int status;
} ends[] = {
    { AGENT_UPDATE_CONFIRMED, "done", NULL, 200 },
    { AGENT_UPDATE_FAILED, "failed", "stage", 422 },
    { AGENT_UPDATE_ROLLED_BACK, "rolled-back", "prove", 500 },
    { AGENT_UPDATE_STUCK, "recovery", "roll-back", 500 },
};

static int add_failure(cJSON *m, const AgentUpdate *u)
{
    _cleanup_(error_done) Error err = {};
    const char *why = u->why ? u->why : "no reason was noted";
    int r = u->state == AGENT_UPDATE_FAILED        ? error_set(&err, EPERM, "agent-update.refused", "%s", why)
            : u->state == AGENT_UPDATE_ROLLED_BACK ? error_set(&err, EIO, "agent-update.rolled-back", "%s", why)
                                                   : error_set(&err, EIO, "agent-update.stuck", "%s", why);

    return json_add_item(m, "error", json_from_error(&err, r));
}

static int add_package(cJSON *m, const AgentUpdate *u)
{
    cJSON *package = cJSON_CreateObject();

    return json_add_item(m, "package", package) < 0 || json_add_string(package, "name", u->package) < 0 ||
                   json_add_string(package, "from", u->from) < 0 || json_add_string(package, "to", u->to) < 0
               ? -ENOMEM
               : 0;
}

static cJSON *make_result(const AgentUpdate *u)
{
    _cleanup_(cJSON_Deletep) cJSON *m = message_new("compose.result");
    usec_t now = realtime_usec(), begun = u->began * USEC_PER_SEC;
    char at[TIMESTAMP_SIZE];

    for (size_t i = 0; m && i < ELEMENTSOF(ends); i++) {
        if (ends[i].state != u->state)
            continue;
        if (json_add_string(m, "id", u->id) < 0 || json_add_string(m, "kind", KIND_AGENT) < 0 ||
            json_add_string(m, "version", u->number) < 0 || json_add_int(m, "status", ends[i].status) < 0 ||
            json_add_string(m, "phase", ends[i].failed_phase ? ends[i].failed_phase : "done") < 0 ||
            json_add_string(m, "outcome", ends[i].outcome) < 0 ||
            json_add_string(m, "failedPhase", ends[i].failed_phase) < 0 || add_package(m, u) < 0 ||
            (!str_starts(u->number, "local-") && order_floors_describe(m) < 0) ||
            json_add_int(m, "seconds", now > begun ? (int) ((now - begun) / USEC_PER_SEC) : 0) < 0 ||
            json_add_string(m, "at", timestamp_format(now, at)) < 0 ||
            (ends[i].failed_phase && add_failure(m, u) < 0) ||
            (!ends[i].failed_phase && json_add_bool(m, "noop", str_equal(u->from, u->to)) < 0))
            return NULL;
        return TAKE_PTR(m);
    }
    return NULL;
}

static int note_told(PackageUpdate *p, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();

    if (!o || json_add_string(o, "told", p->journal.id) < 0)
        return -ENOMEM;
    free(p->told);
    p->told = strdup(p->journal.id);
    return state_file_save(STATE_FILE, o, err);
}

/* A power cut between two of these has it told twice, which changes nothing: whoever hears it knows it by its id. */
void package_result_tell(PackageUpdate *p)
{
    bool from_cloud = !str_starts(p->journal.number, "local-");
    _cleanup_(cJSON_Deletep) cJSON *result = NULL, *before = NULL;
    _cleanup_(error_done) Error err = {};

    if (!p->told) {
        _cleanup_(cJSON_Deletep) cJSON *o = NULL;
        if (state_file_load(STATE_FILE, &o, NULL) >= 0 && json_string(o, "told"))
            p->told = strdup(json_string(o, "told"));
    }
    if (str_equal(p->told, p->journal.id) || !(result = make_result(&p->journal)))
        return;
    int r = from_cloud ? store_save_unacked(result, &err) : 0;
    before = agent_find_result(p->journal.id);
    if (r >= 0 && !before)
        r = store_add_history(result, &err);
    if (r >= 0)
        r = note_told(p, &err);
    if (r < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, &err, r,
                    "How the package update ended cannot be stored; it is said again");
    agent_deliver_result(p->agent, result, from_cloud, NULL);
    agent_tell_cloud(p->agent);
}

void package_result_refuse(const PackageUpdate *p, int status, const Error *err, int r)
{
    if (json_string(p->order, "version"))
        agent_refuse(p->asker, p->order, KIND_AGENT, status, err, r);
    else
        control_send_error(p->asker, json_string(p->order, "id"), err, r);
}

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

typedef struct End {
    AgentUpdateState state;
    const char *refusal; /* NULL: any */
    const char *outcome, *failed_phase;
    int status, number;
    const char *error;
} End;

/* The first that fits. 503: it may be well in a while. */
static const End ends[] = {
    { AGENT_UPDATE_CONFIRMED, NULL, "done", NULL, 200, 0, NULL },
    { AGENT_UPDATE_FAILED, "newer", "failed", "stage", 422, EPERM, "agent-update.newer" },
    { AGENT_UPDATE_FAILED, "taken-over", "failed", "prove", 422, EPERM, "agent-update.taken-over" },
    { AGENT_UPDATE_FAILED, "away", "failed", "stage", 503, EHOSTUNREACH, "agent-update.repository" },
    { AGENT_UPDATE_FAILED, "start", "failed", "stage", 503, EIO, "agent-update.start" },
    { AGENT_UPDATE_FAILED, NULL, "failed", "stage", 422, EPERM, "agent-update.refused" },
    { AGENT_UPDATE_ROLLED_BACK, NULL, "rolled-back", "prove", 500, EIO, "agent-update.rolled-back" },
    { AGENT_UPDATE_STUCK, NULL, "recovery", "roll-back", 500, EIO, "agent-update.stuck" },
};

static const End *find_end(const AgentUpdate *u)
{
    for (size_t i = 0; i < ELEMENTSOF(ends); i++)
        if (ends[i].state == u->state && (!ends[i].refusal || str_equal(ends[i].refusal, u->refusal)))
            return &ends[i];
    return NULL;
}

static int add_failure(cJSON *m, const End *end, const AgentUpdate *u)
{
    _cleanup_(error_done) Error err = {};
    int r = error_set(&err, end->number, end->error, "%s", u->why ? u->why : "no reason was noted");

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
    const End *end = find_end(u);
    _cleanup_(cJSON_Deletep) cJSON *m = end ? message_new("compose.result") : NULL;
    usec_t now = realtime_usec(), begun = u->began * USEC_PER_SEC;
    char at[TIMESTAMP_SIZE];

    if (!m || json_add_string(m, "id", u->id) < 0 || json_add_string(m, "kind", KIND_AGENT) < 0 ||
        json_add_string(m, "version", u->number) < 0 || json_add_int(m, "status", end->status) < 0 ||
        json_add_string(m, "phase", end->failed_phase ? end->failed_phase : "done") < 0 ||
        json_add_string(m, "outcome", end->outcome) < 0 || json_add_string(m, "failedPhase", end->failed_phase) < 0 ||
        add_package(m, u) < 0 || (package_is_from_cloud(u->number) && order_floors_describe(m) < 0) ||
        json_add_int(m, "seconds", now > begun ? (int) ((now - begun) / USEC_PER_SEC) : 0) < 0 ||
        json_add_string(m, "at", timestamp_format(now, at)) < 0 || (end->failed_phase && add_failure(m, end, u) < 0) ||
        (!end->failed_phase && json_add_bool(m, "noop", str_equal(u->from, u->to)) < 0))
        return NULL;
    return TAKE_PTR(m);
}

bool package_is_from_cloud(const char *number)
{
    return !str_starts(number, "local-");
}

/* Numbered by package and state, so that a new mgmt-agent goes on counting where the old one was. */
static int sequence(const AgentUpdate *u)
{
    return (int) u->state + (u->next ? 0 : AGENT_UPDATE_GOING_BACK);
}

void package_progress_tell(const PackageUpdate *p, ControlClient *to)
{
    static const char *const phases[] = {
        [AGENT_UPDATE_STAGED] = "stage",
        [AGENT_UPDATE_INSTALLING] = "install",
        [AGENT_UPDATE_PROVING] = "prove",
        [AGENT_UPDATE_GOING_BACK] = "roll-back",
    };
    const AgentUpdate *u = &p->journal;
    _cleanup_(cJSON_Deletep) cJSON *m = u->state == AGENT_UPDATE_NONE ? NULL : message_new("compose.progress");
    _cleanup_(freep) char *text =
        str_format("%s %s -> %s: %s", u->package, u->from ? u->from : "-", u->to, u->state_name);
    const char *phase = u->state < ELEMENTSOF(phases) ? phases[u->state] : "done";
    char at[TIMESTAMP_SIZE];

    if (!m || !text || json_add_string(m, "id", u->id) < 0 || json_add_string(m, "version", u->number) < 0 ||
        json_add_string(m, "phase", phase) < 0 || json_add_string(m, "state", "started") < 0 ||
        json_add_string(m, "message", text) < 0 ||
        json_add_string(m, "at", timestamp_format(realtime_usec(), at)) < 0 || json_add_int(m, "seq", sequence(u)) < 0)
        return;
    control_send(to, m);
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
    bool from_cloud = package_is_from_cloud(p->journal.number);
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
    const char *version = json_string(p->order, "version");

    /* who asks on the box waits for an answer, not for a result */
    if (version && package_is_from_cloud(version))
        agent_refuse(p->asker, p->order, KIND_AGENT, status, err, r);
    else
        control_send_error(p->asker, json_string(p->order, "id"), err, r);
}

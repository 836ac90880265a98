/* SPDX-License-Identifier: MIT */
/* As the result of a deployment, so that history, audit log and rollouts have it like one. It is stored before it is said. */
#include <errno.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "mgmt-agent/agent/package-update-impl.h"
#include "mgmt-agent/agent/update-result.h"
#include "mgmt-agent/state/journal.h"
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

static int add_package(cJSON *m, const AgentUpdate *u)
{
    cJSON *package = cJSON_CreateObject();

    return json_add_item(m, "package", package) < 0 || json_add_string(package, "name", u->package) < 0 ||
                   json_add_string(package, "from", u->from) < 0 || json_add_string(package, "to", u->to) < 0
               ? -ENOMEM
               : 0;
}

static cJSON *make_error(const End *end, const AgentUpdate *u)
{
    _cleanup_(error_done) Error err = {};
    int r = error_set(&err, end->number, end->error, "%s", u->why ? u->why : "no reason was noted");

    return json_from_error(&err, r);
}

static cJSON *make_result(const AgentUpdate *u)
{
    const End *end = find_end(u);

    if (!end)
        return NULL;
    const UpdateEnd about = {
        .id = u->id,
        .kind = KIND_AGENT,
        .number = u->number,
        .outcome = end->outcome,
        .failed_phase = end->failed_phase,
        .status = end->status,
        .noop = str_equal(u->from, u->to),
        .from_cloud = package_is_from_cloud(u->number),
        .began = u->began * USEC_PER_SEC,
    };
    _cleanup_(cJSON_Deletep) cJSON *m = update_result_make(&about, end->failed_phase ? make_error(end, u) : NULL);

    return m && add_package(m, u) == 0 ? TAKE_PTR(m) : NULL;
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
    _cleanup_(freep) char *text =
        str_format("%s %s -> %s: %s", u->package, u->from ? u->from : "-", u->to, u->state_name);
    const UpdateProgress progress = { .id = u->id,
                                      .number = u->number,
                                      .phase = u->state < ELEMENTSOF(phases) ? phases[u->state] : "done",
                                      .text = text,
                                      .seq = sequence(u) };

    if (u->state != AGENT_UPDATE_NONE)
        update_progress_tell(&progress, to);
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
    _cleanup_(cJSON_Deletep) cJSON *result = NULL;
    _cleanup_(error_done) Error err = {};

    if (!p->told) {
        _cleanup_(cJSON_Deletep) cJSON *o = NULL;
        if (state_file_load(STATE_FILE, &o, NULL) >= 0 && json_string(o, "told"))
            p->told = strdup(json_string(o, "told"));
    }
    if (str_equal(p->told, p->journal.id) || !(result = make_result(&p->journal)))
        return;
    int r = update_result_store(result, from_cloud, &err);
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

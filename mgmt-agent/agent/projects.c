/* SPDX-License-Identifier: MIT */
/* The projects beside the box's own one: mgmt-agent/state/project.h. */
#include "mgmt-agent/state/project.h"

#include <errno.h>

#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "lib/data/trust.h"
#include "mgmt-agent/agent/agent.h"
#include "mgmt-agent/state/snapshot-store.h"
#include "mgmt-agent/state/worker-request.h"

int agent_project_of(const cJSON *message, const char **ret, Error *err)
{
    const char *name = json_string(message, "project");

    *ret = NULL;
    if (!name || str_equal(name, project_own()))
        return 0;
    *ret = name;
    return project_name_check(name, err);
}

int agent_add_project(cJSON *request, const cJSON *message)
{
    const char *name = NULL;

    return agent_project_of(message, &name, NULL) < 0 ? 0 : json_add_string(request, WORKER_PROJECT, name);
}

int agent_look_in_histories(const char *id, size_t limit, cJSON **ret, Error *err)
{
    _cleanup_(strv_freep) char **others = NULL;
    int r = project_list_all(&others);

    *ret = NULL;
    for (size_t i = 0; r >= 0 && !*ret && i <= strv_length(others); i++) {
        _cleanup_(project_leave) ProjectScope scope _unused_ = project_enter(i == 0 ? NULL : others[i - 1]);
        _cleanup_(cJSON_Deletep) cJSON *history = NULL;

        r = store_load_history(limit, &history, err);
        for (int k = 0; r >= 0 && !*ret && k < cJSON_GetArraySize(history); k++)
            if (str_equal(json_string(cJSON_GetArrayItem(history, k), "id"), id))
                *ret = cJSON_DetachItemFromArray(history, k);
    }
    return r;
}

static int describe(cJSON *list, const char *name)
{
    _cleanup_(project_leave) ProjectScope scope _unused_ = project_enter(name);
    _cleanup_(current_freep) Current *current = NULL;
    cJSON *o = cJSON_CreateObject();
    char at[TIMESTAMP_SIZE];
    uint64_t floor = 0;

    if (json_append(list, o) < 0 || json_add_string(o, "name", name) < 0 ||
        (store_load_floor(&floor, NULL) == 0 && floor > 0 && json_add_u64(o, "floor", floor) < 0))
        return -ENOMEM;
    if (current_load(&current, NULL) < 0 || !current)
        return 0;
    if (json_add_string(o, "version", current->version) < 0 || json_add_string(o, "sha256", current->sha256) < 0 ||
        (current->at > 0 && json_add_string(o, "at", timestamp_format(current->at, at)) < 0))
        return -ENOMEM;
    return project_is_stopped() ? json_add_bool(o, "stopped", true) : 0;
}

int agent_add_projects(cJSON *o)
{
    _cleanup_(strv_freep) char **others = NULL;
    cJSON *list;
    int r = project_list(&others);

    if (r < 0 || !others) /* the rest of the report is true all the same */
        return r == -ENOMEM ? r : 0;
    list = cJSON_AddArrayToObject(o, "projects");
    r = list ? 0 : -ENOMEM;
    for (size_t i = 0; r == 0 && others[i]; i++)
        r = describe(list, others[i]);
    return r;
}

static void answer(ControlClient *c, const cJSON *message, const Error *err, int r)
{
    _cleanup_(cJSON_Deletep) cJSON *m = message_new("project.result");

    if (m && json_add_string(m, "id", json_string(message, "id")) == 0 &&
        json_add_string(m, "project", json_string(message, "project")) == 0 && json_add_bool(m, "ok", r == 0) == 0 &&
        (r == 0 || json_add_item(m, "error", json_from_error(err, r)) == 0))
        control_send(c, m);
}

void agent_answer_project(Agent *a, const cJSON *result, ControlClient *requester)
{
    _cleanup_(cJSON_Deletep) cJSON *asked = NULL;
    _cleanup_(error_done) Error err = {};
    ControlClient *to = requester ? requester : a->from_cloud ? control_link(a->control) : NULL;
    int r;

    if (result) {
        control_send(to, result);
        return;
    }
    asked = cJSON_CreateObject();
    r = error_set(&err, EIO, "worker.failed", "the worker ended without an answer; see the agent's log");
    if (asked && json_add_string(asked, "id", a->deploying_id) == 0 && json_add_string(asked, "project", "") == 0)
        answer(to, asked, &err, r);
}

/* Where orders have to be signed, nobody in between may stop anything: there is no signed order of this kind. */
static int check_authority(Error *err)
{
    _cleanup_(trust_done) Trust trust = {};
    int r = trust_load(&trust, err);

    if (r < 0 || trust.signers.n == 0)
        return r;
    return error_set(err, EACCES, "order.unsigned",
                     "this box takes only signed orders, and those to stop, start or remove a project are not: use "
                     "secboxctl on the box");
}

/* What was removed can be removed once more: with its volumes. */
static bool is_removed(const char *project)
{
    _cleanup_(project_leave) ProjectScope scope _unused_ = project_enter(project);

    return project_is_removed();
}

static int check(const Agent *a, const cJSON *message, bool from_cloud, Error *err)
{
    const char *project = NULL;
    int r = agent_project_of(message, &project, err);

    if (r == 0 && from_cloud)
        r = check_authority(err);
    if (r < 0)
        return r;
    if (!project_action_is_good(json_string(message, "action")))
        return error_set(err, EINVAL, "project.bad-action",
                         "an order about a project is stop, start, restart or remove");
    if (!project)
        return error_set(
            err, EPERM, "project.own",
            "%s is the box's own project, by which it is reached: push a file without the services that are "
            "not wanted",
            project_own());
    if (!project_is_known(project))
        return error_set(err, ENOENT, "project.unknown", "this box has no project %s", project);
    if (is_removed(project) && !str_equal(json_string(message, "action"), "remove"))
        return error_set(err, ENOENT, "project.nothing", "project %s was removed from this box; push it again",
                         project);
    if (agent_is_busy(a))
        return error_set(err, EBUSY, "agent.busy", "another change is under way; wait for its result");
    return 0;
}

void agent_handle_project(Agent *a, ControlClient *c, const cJSON *message)
{
    bool from_cloud = control_client_is_link(c);
    _cleanup_(cJSON_Deletep) cJSON *request = cJSON_CreateObject();
    _cleanup_(error_done) Error err = {};
    int r;

    if (agent_park(a, c, message))
        return;
    r = check(a, message, from_cloud, &err);
    if (r == 0 && (!request || json_add_item(request, "message", cJSON_Duplicate(message, 1)) < 0 ||
                   json_add_string(request, "source", from_cloud ? "cloud" : "local") < 0 ||
                   agent_add_project(request, message) < 0))
        r = -ENOMEM;
    if (r == 0)
        r = agent_deploy(a, "project", json_string(message, "id"), request, from_cloud ? NULL : c, from_cloud, &err);
    if (r == 0) {
        log_notice("%s of project %s, asked for %s", json_string(message, "action"), json_string(message, "project"),
                   from_cloud ? "by the cloud" : "on the box");
        return;
    }
    log_failure(LOG_LEVEL_WARNING, NULL, &err, r, "Refusing an order about a project");
    answer(c, message, &err, r);
}

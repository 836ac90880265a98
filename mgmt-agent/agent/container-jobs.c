/* SPDX-License-Identifier: MIT */
/* Orders about one container, as recovery-agent and secboxctl give them: refused while anything else is under way. */

#include <errno.h>

#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "mgmt-agent/agent/agent.h"

static void answer(ControlClient *c, const char *id, const Error *err, int r)
{
    _cleanup_(cJSON_Deletep) cJSON *m = message_new("container.result");

    if (m && json_add_string(m, "id", id) == 0 && json_add_bool(m, "ok", r == 0) == 0 &&
        (r == 0 || json_add_item(m, "error", json_from_error(err, r)) == 0))
        control_send(c, m);
}

/* A recreation is a deployment, and deployments of the box itself have versions of their own. */
static cJSON *make_request(const cJSON *message)
{
    _cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
    cJSON *copy = cJSON_Duplicate(message, 1);
    _cleanup_(freep) char *version = str_format("local-%llu", (unsigned long long) (realtime_usec() / USEC_PER_MSEC));

    if (!o || json_add_item(o, "message", copy) < 0 || json_add_string(o, "source", "local") < 0 || !version ||
        agent_add_project(o, message) < 0)
        return NULL;
    cJSON_DeleteItemFromObjectCaseSensitive(copy, "version");
    return json_add_string(copy, "version", version) == 0 ? TAKE_PTR(o) : NULL;
}

void agent_handle_service(Agent *a, ControlClient *c, const cJSON *message)
{
    const char *id = json_string(message, "id"), *service = json_string(message, "service");
    const char *job = str_equal(json_string(message, "type"), "container.restart") ? "restart" : "recreate";
    _cleanup_(cJSON_Deletep) cJSON *request = make_request(message);
    _cleanup_(error_done) Error err = {};
    const char *project;
    int r = agent_project_of(message, &project, &err);

    if (r < 0)
        log_debug("A name that is no project's");
    else if (a->journal.state == DEPLOY_RECOVERY && str_equal(job, "recreate"))
        r = error_set(&err, EPERM, "deploy.recovery",
                      "a rollback failed on this box: everything is left as it is for a person");
    else if (agent_is_busy(a))
        r = error_set(&err, EBUSY, "agent.busy", "another change is under way; wait for its result");
    else
        r = request ? agent_deploy(a, job, id, request, c, false, &err) : -ENOMEM;
    if (r == 0) {
        log_notice("%s of service %s, asked for on the box", job, service);
        return;
    }
    log_failure(LOG_LEVEL_WARNING, NULL, &err, r, "Refusing the %s of service %s", job, service);
    answer(c, id, &err, r);
}

bool agent_is_service_job(const char *job)
{
    return str_equal(job, "restart") || str_equal(job, "recreate");
}

void agent_answer_service(Agent *a, const cJSON *result, ControlClient *requester)
{
    _cleanup_(error_done) Error err = {};
    bool done = str_equal(json_string(result, "outcome"), "done");
    int r;

    if (str_equal(json_string(result, "type"), "container.result")) {
        control_send(requester, result);
        return;
    }
    r = done     ? 0
        : result ? json_to_error(cJSON_GetObjectItemCaseSensitive(result, "error"), EIO, &err)
                 : error_set(&err, EIO, "worker.failed", "the worker ended without an answer; see the agent's log");
    answer(requester, a->deploying_id, &err, done || r < 0 ? r : -EIO);
}

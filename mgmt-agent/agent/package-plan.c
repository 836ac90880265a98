/* SPDX-License-Identifier: MIT */
/* That a worker can be started, reads the files of this box and has podman's answer: what the next push will need. */
#include <errno.h>

#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "mgmt-agent/agent/package-update-impl.h"
#include "mgmt-agent/state/current.h"
#include "mgmt-agent/state/snapshot-store.h"

#define TIMEOUT (5 * USEC_PER_MINUTE)
#define PLAN_FAILED 503

static void on_message(Runner *r _unused_, const cJSON *message, void *userdata)
{
    PackageUpdate *p = userdata;
    const char *type = json_string(message, "type");
    uint64_t status = PLAN_FAILED;

    if (str_equal(type, "compose.plan.result") && json_u64(message, "status", &status) >= 0 && status < 1000)
        p->plan_status = (unsigned) status;
    else if (str_equal(type, "worker.status") && !cJSON_HasObjectItem(message, "error"))
        p->plan_status = PLAN_GOOD;
}

static void on_done(Runner *r _unused_, int ok, int exit_status _unused_, void *userdata)
{
    PackageUpdate *p = userdata;

    if (!ok)
        p->plan_status = PLAN_FAILED;
    p->planner = runner_free(p->planner);
    package_plan_ended(p);
}

/* The snapshot that runs, as a question; NULL when nothing is deployed, or it is not kept. */
static cJSON *make_request(void)
{
    _cleanup_(current_freep) Current *current = NULL;
    _cleanup_(cJSON_Deletep) cJSON *request = cJSON_CreateObject();
    cJSON *snapshot = NULL;

    if (current_load(&current, NULL) < 0 || !current || !current->version ||
        store_load_snapshot(current->version, &snapshot, NULL) < 0)
        return NULL;
    return json_add_item(request, "message", snapshot) < 0 || json_add_string(request, "source", "plan") < 0
               ? NULL
               : TAKE_PTR(request);
}

int package_plan_start(PackageUpdate *p, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *plan = make_request(), *nothing = cJSON_CreateObject();
    RunnerOptions options = p->agent->runner_options;

    if (p->planner)
        return error_set(err, EBUSY, "agent.busy", "a dry plan is under way already");
    options.timeout_usec = TIMEOUT;
    p->plan_status = PLAN_FAILED;
    return runner_start(p->agent->event, &options, plan ? "plan" : "status", plan ? plan : nothing, on_message, on_done,
                        p, &p->planner, err);
}

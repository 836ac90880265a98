/* SPDX-License-Identifier: MIT */
/* How each container of the current deployment is, for the rules of agent/service-rules.c. Nothing is changed. */

#include <errno.h>
#include <string.h>

#include "lib/base/strv.h"
#include "lib/base/proc.h"
#include "mgmt-agent/worker/phases/current.h"
#include "mgmt-agent/worker/jobs/jobs.h"
#include "mgmt-agent/worker/phases/report.h"

#define LOG_LINES 5

static const cJSON *get(const cJSON *o, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(o, key);
}

static int number(const cJSON *o, const char *key)
{
    const cJSON *item = get(o, key);

    return cJSON_IsNumber(item) ? item->valueint : 0;
}

static bool is_well(const char *status, const char *health, int restarts)
{
    return str_equal(status, "running") && restarts == 0 && !str_equal(health, "unhealthy");
}

static int add_state(Deploy *d, cJSON *o, const cJSON *info)
{
    const cJSON *state = get(info, "State");
    const char *id = json_string(info, "Id"), *status = json_string(state, "Status");
    const char *health = json_string(get(state, "Health"), "Status");
    int pid = number(state, "Pid"), restarts = number(info, "RestartCount"), code = number(state, "ExitCode"), r = 0;
    PodmanPast past = { .exit_code = -1 };

    if (!str_empty(health))
        r = json_add_string(o, "health", health);
    if (r == 0)
        r = json_add_u64(o, "healthIntervalUsec", podman_health_interval(info));
    if (r == 0 && !is_well(status, health, restarts)) {
        _cleanup_(freep) char *log = podman_log_tail(d->box.podman, id, LOG_LINES);

        r = str_empty(log) ? 0 : json_add_string(o, "log", log);
        past = podman_past(d->box.podman, id, json_string(state, "FinishedAt"));
    }
    /* the code of a container that runs again is no more */
    if (str_equal(status, "running") && restarts > 0 && past.exit_code > 0)
        code = past.exit_code;
    if (r == 0)
        r = json_add_bool(o, "restartFailed", str_equal(status, "exited") && past.restarted);
    if (r < 0 || json_add_string(o, "id", id) < 0 || json_add_string(o, "state", status) < 0 ||
        json_add_string(o, "staticDir", json_string(info, "StaticDir")) < 0 ||
        json_add_string(o, "pidFile", json_string(info, "PidFile")) < 0 || json_add_int(o, "pid", pid) < 0 ||
        json_add_u64(o, "startTicks", pid > 0 ? process_start_ticks(pid) : 0) < 0 ||
        json_add_int(o, "exitCode", code) < 0 || json_add_int(o, "restarts", restarts) < 0 ||
        json_add_bool(o, "outOfMemory", json_bool(state, "OOMKilled", false)) < 0 ||
        json_add_bool(o, "stoppedByUser", json_bool(state, "StoppedByUser", false)) < 0)
        return -ENOMEM;
    return 0;
}

static int add_service(Deploy *d, const CurrentService *s, cJSON *all, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
    _cleanup_(cJSON_Deletep) cJSON *info = NULL;
    int r = o ? json_add_string(o, "name", s->name) : -ENOMEM;

    if (r < 0)
        return r;
    r = current_inspect(d->box.podman, s, &info, err);
    if (r < 0 && r != -ENOENT)
        return r;
    r = r == 0 ? add_state(d, o, info) : 0;
    return r == 0 ? json_append(all, TAKE_PTR(o)) : r;
}

/* Prints {"type": "worker.facts", "deployment": its id, "services": […]}; a service without `state` has no container. With an
 * `error` member when podman cannot be asked. */
int job_facts(Deploy *d, const cJSON *request)
{
    _cleanup_(cJSON_Deletep) cJSON *answer = cJSON_CreateObject();
    _cleanup_(error_done) Error err = {};
    cJSON *all = cJSON_CreateArray();
    int r = answer ? json_add_string(answer, "type", "worker.facts") : -ENOMEM;

    (void) request;
    if (r == 0)
        r = json_add_item(answer, "services", all);
    if (r == 0)
        r = current_load(&d->before.current, &err);
    if (r == 0)
        r = json_add_string(answer, "deployment", d->before.current ? d->before.current->id : NULL);
    if (r == 0)
        r = box_open_again(&d->box, d->options->podman_compose, &err);
    for (size_t i = 0; r == 0 && d->before.current && i < d->before.current->n_services; i++)
        r = add_service(d, &d->before.current->services[i], all, &err);
    if (r < 0 && (!answer || json_add_item(answer, "error", json_from_error(&err, r)) < 0))
        return 1;
    report_emit(answer);
    return r < 0;
}

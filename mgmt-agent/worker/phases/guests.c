/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/worker/phases/guests.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "compose/model/service-key.h"
#include "lib/base/strv.h"
#include "mgmt-agent/worker/phases/bind-alarms.h"
#include "mgmt-agent/worker/phases/current.h"
#include "mgmt-agent/worker/phases/report.h"
#include "mgmt-agent/worker/phases/start-container.h"

static int find_owner(Podman *podman, const char *name, Map *ids, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *info = NULL;
    _cleanup_(error_done) Error reason = {};
    _cleanup_(freep) char *id = NULL;
    int r = podman_inspect(podman, name, &info, &reason);

    if (r == -ENOENT)
        return 0;
    if (r < 0)
        return error_set(err, r, error_id(&reason), "%s", error_message(&reason, r));
    id = strdup(json_string(info, "Id") ? json_string(info, "Id") : "");
    r = id ? map_put(ids, name, id) : -ENOMEM;
    if (r == 0)
        id = NULL;
    return r;
}

int guests_find_owners(Podman *podman, const ComposeProject *p, const ComposeService *s, Map **ret, Error *err)
{
    _cleanup_(map_freep) Map *ids = map_new(free);
    int r = ids ? 0 : -ENOMEM;

    for (size_t i = 0; r == 0 && compose_shared_keys[i]; i++) {
        const char *name = compose_shared_container(p, s, compose_shared_keys[i]);

        if (name && !map_get(ids, name))
            r = find_owner(podman, name, ids, err);
    }
    if (r == 0)
        *ret = TAKE_PTR(ids);
    return r;
}

static int pid_of(const cJSON *info)
{
    const cJSON *pid = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(info, "State"), "Pid");

    return cJSON_IsNumber(pid) ? pid->valueint : 0;
}

/* Whether both run, each in a network of its own. */
static bool is_apart(int pid, int other)
{
    _cleanup_(freep) char *path = str_format("/proc/%d/ns/net", pid),
                          *other_path = str_format("/proc/%d/ns/net", other);
    struct stat a, b;

    return pid > 0 && other > 0 && path && other_path && stat(path, &a) == 0 && stat(other_path, &b) == 0 &&
           (a.st_dev != b.st_dev || a.st_ino != b.st_ino);
}

/* A new sentence in *ret, NULL when it still has what is its owner's. */
static int look_for_cut(Podman *podman, const ComposeProject *p, const ComposeService *s, const char *id, char **ret,
                        Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *info = NULL, *owner = NULL;
    _cleanup_(map_freep) Map *ids = NULL;
    const char *host = compose_shared_container(p, s, "network_mode");
    int r = podman_inspect(podman, id, &info, err);

    if (r == 0)
        r = guests_find_owners(podman, p, s, &ids, err);
    const ProofFacts facts = { .ids = ids };
    for (size_t i = 0; r == 0 && compose_shared_keys[i]; i++)
        if (compose_shared_container(p, s, compose_shared_keys[i]))
            r = compose_service_key(compose_shared_keys[i])->prove(s, p, &facts, info, ret);
    if (r != 0 || !host || podman_inspect(podman, host, &owner, NULL) < 0)
        return r < 0 ? r : 0;
    if (is_apart(pid_of(info), pid_of(owner)))
        *ret = str_format("container %s, whose network it is in, was started again without it", host);
    return 0;
}

int guests_plan(Podman *podman, const ComposeProject *p, Plan *plan, Error *err)
{
    int r = 0;

    for (size_t i = 0; r >= 0 && i < plan->n_steps; i++) {
        PlanStep *step = &plan->steps[i];
        const ComposeService *s = compose_service_find(p, step->service);
        _cleanup_(freep) char *cut = NULL;

        if (!s || step->action != PLAN_KEEP)
            continue;
        for (size_t k = 0; compose_shared_keys[k] && !cut; k++)
            if (compose_shared_container(p, s, compose_shared_keys[k])) {
                r = look_for_cut(podman, p, s, step->old_id, &cut, err);
                break;
            }
        if (r >= 0 && cut)
            r = plan_replace(plan, step, cut);
    }
    return r < 0 ? r : compose_plan_take_along(p, plan);
}

/* 1 when it was started again. */
static int follow(const Box *box, const char *project, const CurrentService *s, unsigned grace, Report *report,
                  Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *info = NULL;
    const char *id;
    int r = current_inspect(box->podman, s, &info, err);

    if (r == -ENOENT) {
        error_done(err);
        return 0;
    }
    if (r < 0)
        return r;
    id = json_string(info, "Id") ? json_string(info, "Id") : s->container;
    if (!str_equal(json_string(cJSON_GetObjectItemCaseSensitive(info, "State"), "Status"), "running"))
        return 0;
    r = podman_stop_all(box->podman, &(StopRequest) { id, grace }, 1, err);
    if (r == 0)
        r = deploy_may_start(box, project, s->name, info, err);
    if (r == 0)
        r = box_start_container(box, id, s->name, report, err);
    return r == 0 ? 1 : r;
}

int guests_follow(const Box *box, const char *project, const Current *current, const char *owner, Report *report,
                  Error *err)
{
    _cleanup_(compose_project_freep) ComposeProject *p = current_to_project(current);
    char *const names[] = { (char *) owner, NULL };
    int first = p ? 0 : -ENOMEM;

    for (size_t i = 0; p && owner && i < current->n_services; i++) {
        _cleanup_(error_done) Error reason = {};
        int r = 0;

        if (compose_lives_in(p, &p->services[i], names))
            r = follow(box, project, &current->services[i], p->services[i].stop_grace_seconds, report, &reason);
        if (r > 0)
            report_progress(report, "info", current->services[i].name,
                            "%s is started again, too: it shares what %s has", current->services[i].container, owner);
        if (r < 0 && first == 0)
            first = error_set(err, r, error_id(&reason), "service %s, which shares what %s has: %s",
                              current->services[i].name, owner, error_message(&reason, r));
    }
    return first;
}

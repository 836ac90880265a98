/* SPDX-License-Identifier: MIT */
/* Containers that were made before the rules of binds.c: they start as ever, and the box tells which mounts are not safe. Only
 * one whose source has been replaced by a link that leads where nobody allowed it to is not started. */

#include "mgmt-agent/worker/phases/bind-alarms.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "compose/plan/plan.h"
#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "mgmt-agent/state/current.h"
#include "mgmt-agent/state/journal.h"
#include "mgmt-agent/state/project.h"
#include "mgmt-agent/state/unsafe-binds.h"
#include "mgmt-agent/worker/phases/bind-uses.h"
#include "mgmt-agent/worker/phases/bind-walk.h"
#include "mgmt-agent/worker/phases/binds.h"
#include "mgmt-agent/worker/phases/check-file.h"
#include "mgmt-agent/worker/phases/report.h"

#define DEPENDENCY_DEPTH_MAX 16

static int list_all(Podman *podman, const char *project, BindUses *u, Error *err)
{
    ObservedContainer *containers = NULL;
    size_t n = 0;
    int r = podman_list(podman, project, &containers, &n, err);

    if (r == 0)
        r = bind_uses_of_containers(podman, containers, n, u, err);
    observed_free_all(containers, n);
    return r;
}

static bool is_foreign_run_dir(const BindUse *use)
{
    _cleanup_(freep) char *run = path_in_root(SECBOX_RUN_DIR);

    return use->writable && !str_equal(use->service, SECBOX_SERVICE) && str_equal(use->source, run);
}

/* 0, or why this mount could not be asked for now. */
static int judge(const PodmanUser *user, const BindUse *use, const BindUses *all, Error *err)
{
    const BindUse *other = bind_find_conflict(use, all->items, all->n);
    BindWalk w;
    int r = bind_walk(use->source, user, &w, err);

    bind_walk_done(&w);
    if (r < 0)
        return str_equal(error_id(err), "preflight.bind-missing") ? 0 : r;
    if (other)
        return bind_conflict_error(use, other, err);
    if (is_foreign_run_dir(use))
        return error_set(err, EPERM, "policy.bind-outside",
                         "%s is the folder of the service " SECBOX_SERVICE "; that of this service is " SERVICES_RUN_DIR
                         "/%s",
                         use->source, use->service);
    return 0;
}

static bool is_known(const cJSON *list, const char *service, const char *source)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, list)
        if (str_equal(json_string(item, "service"), service) && str_equal(json_string(item, "source"), source))
            return true;
    return false;
}

static int add_finding(const BindUse *use, const cJSON *before, const char *problem, Report *report, cJSON *list)
{
    cJSON *o;

    if (is_known(list, use->service, use->source))
        return 0;
    o = cJSON_CreateObject();
    if (json_append(list, o) < 0 || json_add_string(o, "service", use->service) < 0 ||
        json_add_string(o, "source", use->source) < 0 || json_add_string(o, "problem", problem) < 0)
        return -ENOMEM;
    if (!is_known(before, use->service, use->source))
        report_progress(report, "info", use->service,
                        "the mount of %s into service %s is not safe, and goes on as it is: %s", use->source,
                        use->service, problem);
    return 0;
}

static int review(const Box *box, const char *project, Report *report, const cJSON *before, cJSON *list, Error *err)
{
    _cleanup_(bind_uses_done) BindUses all = {};
    int r = list_all(box->podman, project, &all, err);

    for (size_t i = 0; r == 0 && i < all.n; i++) {
        _cleanup_(error_done) Error problem = {};
        int p = judge(&box->user, &all.items[i], &all, &problem);

        if (p < 0)
            r = add_finding(&all.items[i], before, error_message(&problem, p), report, list);
    }
    return r;
}

void deploy_review_binds(const Box *box, Report *report)
{
    _cleanup_(cJSON_Deletep) cJSON *before = unsafe_binds_load();
    _cleanup_(cJSON_Deletep) cJSON *list = cJSON_CreateArray();
    _cleanup_(error_done) Error err = {};
    int r = list ? review(box, project_own(), report, before, list, &err) : -ENOMEM;

    if (r == 0 && !cJSON_Compare(before, list, true))
        r = unsafe_binds_save(list, &err);
    if (r < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, &err, r, "Cannot look at what the containers mount");
}

/* Whose link it is nobody can tell; but the service that may write there could have put it there. */
static const BindUse *find_writer(const BindUse *use, const BindUses *all)
{
    for (size_t i = 0; i < all->n; i++)
        if (all->items[i].writable && !str_equal(all->items[i].source, use->source) &&
            path_is_below(use->source, all->items[i].source))
            return &all->items[i];
    return NULL;
}

static int check_use(const Box *box, const char *project, const char *declared, const BindUse *use, Error *err)
{
    _cleanup_(policy_freep) ComposePolicy *policy = NULL;
    _cleanup_(freep) char *real = realpath(use->source, NULL);
    _cleanup_(bind_uses_done) BindUses all = {};
    const BindUse *writer;
    int r;

    if (!real || str_equal(real, use->source))
        return 0;
    r = list_all(box->podman, project, &all, err);
    writer = r == 0 ? find_writer(use, &all) : NULL;
    if (!writer || path_is_below(real, writer->source))
        return r;
    /* a policy that cannot be read says nothing against it */
    if (deploy_load_policy(&policy, NULL) < 0)
        return 0;
    policy_keep_old_meaning(policy);
    if (policy_allows_link(policy, declared, use->source, real, !use->writable))
        return 0;
    return error_set(
        err, EPERM, "bind.replaced",
        "service %s is not started: %s, which it mounts, leads to %s now, and service %s may write where that "
        "link is; look at it, and put the folder back",
        use->service, use->source, real, writer->service);
}

/* The name that policy and run folder go by: of several containers of a service, that of the first. */
static const char *declared_name(const Current *current, const char *service)
{
    const CurrentService *s = current_find(current, service);

    return s && s->replica_of ? s->replica_of : service;
}

static int check_uses(const Box *box, const char *project, const char *service, const cJSON *info, Error *err)
{
    _cleanup_(current_freep) Current *current = NULL;
    _cleanup_(journal_done) Journal journal = {};
    bool waits = journal_load(&journal, NULL) == 0 && journal.state == DEPLOY_CONFIRMING && journal.project &&
                 journal_is_of_selected(&journal);
    const Current *now = waits || current_load(&current, NULL) < 0 ? journal.project : current;
    const char *declared = declared_name(now, service);
    _cleanup_(bind_uses_done) BindUses uses = {};
    int r = bind_uses_of_container(info, service ? service : "", &uses);

    for (size_t i = 0; r == 0 && i < uses.n; i++) {
        _cleanup_(freep) char *services = path_in_root(SERVICES_RUN_DIR "/");

        if (services && str_starts(uses.items[i].source, services))
            deploy_make_run_folder(&box->user, declared ? declared : "");
        r = check_use(box, project, declared, &uses.items[i], err);
    }
    return r;
}

/* Podman starts them as well, and does not look at their mounts. One that is gone is podman's to tell. */
static int check_dependency(const Box *box, const char *project, const char *id, unsigned depth, Error *err);

static int check_start(const Box *box, const char *project, const char *service, const cJSON *info, unsigned depth,
                       Error *err)
{
    const cJSON *id;
    int r = check_uses(box, project, service, info, err);

    cJSON_ArrayForEach(id, cJSON_GetObjectItemCaseSensitive(info, "Dependencies")) {
        if (r == 0 && cJSON_IsString(id) && depth > 0)
            r = check_dependency(box, project, id->valuestring, depth - 1, err);
    }
    return r;
}

static int check_dependency(const Box *box, const char *project, const char *id, unsigned depth, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *info = NULL;
    const cJSON *labels;

    if (podman_inspect(box->podman, id, &info, NULL) < 0 ||
        str_equal(json_string(cJSON_GetObjectItemCaseSensitive(info, "State"), "Status"), "running"))
        return 0;
    labels = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(info, "Config"), "Labels");
    return check_start(box, project, json_string(labels, LABEL_SERVICE), info, depth, err);
}

int deploy_may_start(const Box *box, const char *project, const char *service, const cJSON *info, Error *err)
{
    return check_start(box, project, service, info, DEPENDENCY_DEPTH_MAX, err);
}

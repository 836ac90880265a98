/* SPDX-License-Identifier: MIT */
/* What a new file may mount must stay what it is at every later start, since podman starts containers again without asking: the
 * way to a source belongs to root alone, and no source lies in what another service may write to. What was accepted before that
 * was asked goes on: updates and whatever else makes such a service anew only tell (bind-alarms.c). */

#include "mgmt-agent/worker/phases/binds.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fileio.h"
#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "mgmt-agent/worker/phases/bind-uses.h"
#include "mgmt-agent/worker/phases/bind-walk.h"
#include "mgmt-agent/worker/phases/data-owner.h"
#include "mgmt-agent/worker/phases/made-files.h"
#include "mgmt-agent/worker/phases/other-projects.h"
#include "mgmt-agent/worker/phases/report.h"

#define FOLDER_MODE 0755

const char *deploy_bind_target(const Map *bind_targets, const char *source)
{
    const char *target = bind_targets ? map_get(bind_targets, source) : NULL;

    return target ? target : source;
}

static int service_error(const ComposeService *s, const char *source, const Error *reason, int r, Error *err)
{
    return error_set_at(err, r, error_id(reason), NULL, s->line, s->name, "service %s mounts %s: %s", s->name, source,
                        error_message(reason, r));
}

static int missing_error(const ComposeService *s, const char *source, Error *err)
{
    return error_set_at(err, ENOENT, "preflight.bind-missing", NULL, s->line, s->name,
                        "service %s mounts %s, which does not exist; make it, or correct the path", s->name, source);
}

/* Podman gets what the link leads to by now, so that it has nothing to follow. */
static int take_target(DeployTarget *t, const char *source, const char *real)
{
    char *copy = strdup(real);

    if (!t->bind_targets)
        t->bind_targets = map_new(free);
    if (copy && t->bind_targets && map_put(t->bind_targets, source, copy) == 0)
        return 0;
    free(copy);
    return -ENOMEM;
}

static int follow_link(const PodmanUser *user, DeployTarget *t, const ComposeService *s, const char *source,
                       bool read_only, Error *err)
{
    _cleanup_(freep) char *real = realpath(source, NULL);
    _cleanup_(error_done) Error reason = {};
    BindWalk w;
    int r;

    if (!real)
        return missing_error(s, source, err);
    if (!policy_allows_link(t->policy, compose_declared_name(s), source, real, read_only))
        return error_set_at(err, EPERM, "preflight.bind-link", NULL, s->line, s->name,
                            "service %s mounts %s, which leads to %s, and policy.json does not allow that", s->name,
                            source, real);
    r = bind_walk(real, user, &w, &reason);
    if (r < 0)
        return service_error(s, source, &reason, r, err);
    bind_walk_done(&w);
    return take_target(t, source, real);
}

static bool is_mounted_already(const BindUses *running, const char *source)
{
    for (size_t i = 0; running && i < running->n; i++)
        if (str_equal(running->items[i].source, source))
            return true;
    return false;
}

static bool is_run_dir(const char *source, const char *service)
{
    _cleanup_(freep) char *services = path_in_root(SERVICES_RUN_DIR);
    size_t len = services ? strlen(services) : 0;

    return services && strncmp(source, services, len) == 0 && source[len] == '/' &&
           str_equal(source + len + 1, service);
}

/* What is mounted there is meant to be a file, which only a person can bring: a folder in its place stops the service. */
static bool names_a_file(const char *target)
{
    static const char *const endings[] = { ".acl", ".cfg",  ".cnf",  ".conf", ".crt",    ".css",      ".db",
                                           ".env", ".html", ".ini",  ".js",   ".json",   ".key",      ".log",
                                           ".lua", ".pem",  ".php",  ".py",   ".sh",     ".sock",     ".sql",
                                           ".txt", ".toml", ".yaml", ".yml",  ".sqlite", ".template", ".xml" };
    static const char *const names[] = { "Caddyfile", "Corefile", "htpasswd", "passwd", ".htpasswd" };
    const char *name = strrchr(target, '/') ? strrchr(target, '/') + 1 : target;

    for (size_t i = 0; i < ELEMENTSOF(endings); i++)
        if (str_ends(name, endings[i]))
            return true;
    for (size_t i = 0; i < ELEMENTSOF(names); i++)
        if (str_equal(name, names[i]))
            return true;
    return false;
}

/* Folders that are ours to make. One that a container has now and that is gone has lost its data: a new, empty one in its place
 * would hide that. */
static bool may_be_made(const ComposePolicy *policy, const ComposeService *s, const cJSON *volume,
                        const BindUses *running)
{
    const char *source = json_string(volume, "source");

    return is_run_dir(source, compose_declared_name(s)) ||
           (!policy_is_lenient(policy) && policy_is_new_volume(policy, source) &&
            !is_mounted_already(running, source) && !names_a_file(json_string(volume, "target")));
}

/* Whether podman has an id for the owner of what is made. */
static int check_missing(const Box *box, const DeployTarget *t, const ComposeService *s, const cJSON *volume,
                         const BindUses *running, Error *err)
{
    const char *source = json_string(volume, "source"), *target = json_string(volume, "target");
    DataOwner owner;

    if (str_equal(source, SECBOX_ENV_PATH)) /* a push makes it before this is asked; a plan makes nothing */
        return 0;
    if (may_be_made(t->policy, s, volume, running))
        return is_run_dir(source, compose_declared_name(s)) ? 0 : deploy_data_owner(box, t, s, &owner, err);
    if (!names_a_file(target) || policy_is_lenient(t->policy))
        return missing_error(s, source, err);
    return error_set_at(err, ENOENT, "preflight.bind-missing", NULL, s->line, s->name,
                        "service %s mounts %s as %s, which looks like a file, and it is not there; put the file there, "
                        "or make the folder if it is one",
                        s->name, source, target);
}

static int check_source(const Box *box, DeployTarget *t, const ComposeService *s, const cJSON *volume,
                        const BindUses *running, Error *err)
{
    const char *source = json_string(volume, "source");
    bool read_only = json_bool(volume, "read_only", false);
    _cleanup_(error_done) Error reason = {};
    BindWalk w;
    int r;

    r = deploy_check_made(box, t, s, source, err);
    if (r < 0 || (deploy_makes(t, source) && access(source, F_OK) < 0)) /* nor may the folders above it be there */
        return r;
    r = bind_walk(source, &box->user, &w, &reason);
    if (r < 0)
        return service_error(s, source, &reason, r, err);
    if (!w.exists)
        r = check_missing(box, t, s, volume, running, err);
    else if (S_ISLNK(w.st.st_mode))
        r = follow_link(&box->user, t, s, source, read_only, err);
    bind_walk_done(&w);
    return r;
}

/* What was asked before: that it exists, and that policy.json allows what it leads to. */
static int check_old_source(const ComposePolicy *policy, const ComposeService *s, const char *source, bool read_only,
                            Error *err)
{
    _cleanup_(freep) char *real = realpath(source, NULL);

    if (!real)
        return missing_error(s, source, err);
    if (!str_equal(real, source) && !policy_allows_link(policy, compose_declared_name(s), source, real, read_only))
        return error_set_at(err, EPERM, "preflight.bind-link", NULL, s->line, s->name,
                            "service %s mounts %s, which leads to %s, and policy.json does not allow that", s->name,
                            source, real);
    return 0;
}

static int check_service(const Box *box, DeployTarget *t, const ComposeService *s, const BindUses *running, Error *err)
{
    const cJSON *volume;

    cJSON_ArrayForEach(volume, cJSON_GetObjectItemCaseSensitive(s->config, "volumes")) {
        _cleanup_(error_done) Error reason = {};
        int r;

        if (!str_equal(json_string(volume, "type"), "bind"))
            continue;
        r = check_source(box, t, s, volume, running, &reason);
        if (r < 0 && policy_is_lenient(t->policy) && str_equal(error_id(&reason), "preflight.bind-way"))
            r = check_old_source(t->policy, s, json_string(volume, "source"), json_bool(volume, "read_only", false),
                                 err);
        else if (r < 0)
            return error_copy(err, &reason) < 0 ? -ENOMEM : r;
        if (r < 0)
            return r;
    }
    return 0;
}

static bool is_wanted_alike(const BindUses *wanted, const BindUse *use)
{
    for (size_t i = 0; i < wanted->n; i++)
        if (str_equal(wanted->items[i].service, use->service) && str_equal(wanted->items[i].source, use->source) &&
            (wanted->items[i].writable || !use->writable))
            return true;
    return false;
}

/* New services among each other, and each of them beside the containers that are there, whatever becomes of those: a removed one
 * still runs when the first new one is made. A service's own old container is stopped before. */
static int check_overlaps(const DeployTarget *t, const BindUses *running, Error *err)
{
    _cleanup_(bind_uses_done) BindUses wanted = {};
    int r = bind_uses_of_project(t->project, t->bind_targets, &wanted);
    const size_t n = wanted.n;

    for (size_t i = 0; r == 0 && i < running->n; i++)
        if (!is_wanted_alike(&wanted, &running->items[i]))
            r = bind_uses_add(&wanted, running->items[i].service, running->items[i].source, running->items[i].writable);
    for (size_t i = 0; r == 0 && i < n; i++) {
        const BindUse *use = &wanted.items[i];
        const ComposeService *s = compose_service_find(t->project, use->service);

        for (size_t k = 0; r == 0 && k < wanted.n; k++) {
            const BindUse *other = &wanted.items[k];
            _cleanup_(error_done) Error reason = {};

            if (k == i || (k >= n && str_equal(other->service, use->service)) || !bind_uses_conflict(use, other))
                continue;
            r = bind_conflict_error(use, other, &reason);
            error_set_at(err, r, error_id(&reason), NULL, s ? s->line : 0, use->service, "%s",
                         error_message(&reason, r));
        }
    }
    return r;
}

/* Folders that every project may mount without a word are one project's at a time. */
static int check_others(const DeployTarget *t, const BindUses *running, Error *err)
{
    _cleanup_(bind_uses_done) BindUses wanted = {};
    int r = bind_uses_of_project(t->project, t->bind_targets, &wanted);

    for (size_t i = 0; r == 0 && i < wanted.n * running->n; i++) {
        const BindUse *use = &wanted.items[i / running->n], *other = &running->items[i % running->n];
        const ComposeService *s = compose_service_find(t->project, use->service);

        if (!s || !strchr(other->service, '/') || !str_equal(use->source, other->source) ||
            (!use->writable && !other->writable) || !policy_is_new_volume(t->policy, use->source) ||
            policy_allows_other(t->policy, compose_declared_name(s), use->source))
            continue;
        r = other_project_error(s, "folder", use->source, other->service, err);
    }
    return r;
}

static bool mounts_anything(const DeployTarget *t)
{
    _cleanup_(bind_uses_done) BindUses uses = {};

    return bind_uses_of_project(t->project, t->bind_targets, &uses) < 0 || uses.n > 0;
}

static int explain_folder(const Box *box, const DeployTarget *t, const ComposeService *s, const cJSON *volume,
                          const BindUses *running, Plan *plan)
{
    const char *source = json_string(volume, "source");
    _cleanup_(error_done) Error unused = {};
    _cleanup_(freep) char *text = NULL;
    BindWalk w;
    int r = bind_walk(source, &box->user, &w, &unused);
    bool is_new = r == 0 && !w.exists && may_be_made(t->policy, s, volume, running);

    bind_walk_done(&w);
    if (!is_new || is_run_dir(source, compose_declared_name(s)))
        return 0;
    text = str_format("makes %s", source);
    return text ? plan_add_reason(plan, s->name, text) : -ENOMEM;
}

/* What a push makes is told by its plan. */
static int explain_folders(const Box *box, const DeployTarget *t, const BindUses *running, Plan *plan)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < t->project->n_services; i++) {
        const ComposeService *s = &t->project->services[i];
        const cJSON *volume;

        cJSON_ArrayForEach(volume, cJSON_GetObjectItemCaseSensitive(s->config, "volumes")) {
            if (r == 0 && str_equal(json_string(volume, "type"), "bind"))
                r = explain_folder(box, t, s, volume, running, plan);
        }
    }
    return r;
}

int deploy_check_binds(const Box *box, DeployTarget *t, const DeployPast *before, Plan *plan, Error *err)
{
    _cleanup_(bind_uses_done) BindUses running = {};
    int r;

    if (!mounts_anything(t))
        return 0;
    r = bind_uses_of_containers(box->podman, before->observed, before->n_observed, &running, err);
    for (size_t i = 0; r == 0 && i < t->project->n_services; i++)
        r = check_service(box, t, &t->project->services[i], &running, err);
    if (r < 0 || policy_is_lenient(t->policy))
        return r;
    r = explain_folders(box, t, &running, plan);
    if (r == 0)
        r = check_others(t, &running, err);
    if (r == 0)
        r = bind_uses_add_store(box->podman, &running, err);
    return r == 0 ? check_overlaps(t, &running, err) : r;
}

static int make_source(const Box *box, const DeployTarget *t, const ComposeService *s, const char *source,
                       Report *report, Error *err)
{
    DataOwner owner = { .uid = box->user.uid, .gid = box->user.gid };
    BindWalk w;
    int r = bind_walk(source, &box->user, &w, err);

    if (r < 0)
        return r;
    if (!w.exists) {
        r = is_run_dir(source, compose_declared_name(s)) ? 0 : deploy_data_owner(box, t, s, &owner, err);
        if (r == 0)
            r = bind_make_folder(&w, source, FOLDER_MODE, owner.uid, owner.gid, err);
        if (r == 0)
            report_progress(report, "info", s->name, "made %s for user %u:%u", source, (unsigned) owner.uid,
                            (unsigned) owner.gid);
    }
    bind_walk_done(&w);
    return r;
}

static int make_binds(const Box *box, const DeployTarget *t, const ComposeService *s, Report *report, Error *err)
{
    const cJSON *volume;

    cJSON_ArrayForEach(volume, cJSON_GetObjectItemCaseSensitive(s->config, "volumes")) {
        const char *source = json_string(volume, "source");
        int r;

        if (!source || !str_equal(json_string(volume, "type"), "bind") || !may_be_made(t->policy, s, volume, NULL))
            continue;
        r = make_source(box, t, s, source, report, err);
        if (r < 0)
            return error_prefix(err, r, "service %s", s->name);
    }
    return 0;
}

int deploy_ready_binds(const Box *box, DeployTarget *t, const ComposeService *s, Report *report, Error *err)
{
    int r = make_binds(box, t, s, report, err);

    if (r == 0)
        r = deploy_write_made(box, t, s, err);
    /* once more, now that the old container has stopped: nothing that could change it runs between this and the start */
    return r == 0 ? check_service(box, t, s, NULL, err) : r;
}

/* Where containers show their heartbeat is gone after each boot. */
void deploy_make_run_folder(const PodmanUser *user, const char *service)
{
    _cleanup_(freep) char *services = path_in_root(SERVICES_RUN_DIR);
    _cleanup_(freep) char *path = services ? path_join(services, service) : NULL;
    _cleanup_(error_done) Error err = {};
    int r = path ? dir_make(path, FOLDER_MODE, user->uid, user->gid, &err) : -ENOMEM;

    if (r < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, &err, r, "Service %s cannot show its heartbeat", service);
}

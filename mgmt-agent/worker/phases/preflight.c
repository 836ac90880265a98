/* SPDX-License-Identifier: MIT */
/* What would change, and whether it can: podman answers, images, disk, ports, bind sources. Nothing is touched. */

#include "mgmt-agent/worker/phases/full-names.h"
#include "mgmt-agent/worker/phases/make-plan.h"
#include "mgmt-agent/worker/phases/needs.h"
#include "mgmt-agent/worker/phases/preflight.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/statvfs.h>

#include "lib/base/fileio.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "mgmt-agent/host/podman-stores.h"
#include "mgmt-agent/worker/phases/binds.h"
#include "mgmt-agent/worker/phases/current.h"
#include "mgmt-agent/worker/phases/guests.h"
#include "mgmt-agent/worker/phases/other-projects.h"
#include "mgmt-agent/worker/phases/report.h"
#include "mgmt-agent/worker/phases/stage.h"
#include "mgmt-agent/worker/phases/update-images.h"
#include "mgmt-agent/worker/podman/podman-disk.h"

/* What must stay free after a pull, so that neither podman's store nor our own state hits the wall. */
#define DISK_FREE_MIN_BYTES (512ull * 1024 * 1024)

/* What another service with the same image got. */
static const char *resolved_already(const DeployTarget *t, const char *image)
{
    for (size_t i = 0; i < t->project->n_services; i++)
        if (str_equal(t->project->services[i].image, image) && map_get(t->image_ids, t->project->services[i].name))
            return map_get(t->image_ids, t->project->services[i].name);
    return NULL;
}

static int resolve_image(Podman *podman, const DeployTarget *t, const char *image, char **ret, Error *err)
{
    const char *known = resolved_already(t, image);

    if (!known)
        return podman_image_id(podman, image, ret, err);
    *ret = strdup(known);
    return *ret ? 0 : error_set(err, ENOMEM, "podman.unreachable", "no memory");
}

static int resolve_images(Podman *podman, DeployTarget *t, Error *err)
{
    for (size_t i = 0; i < t->project->n_services; i++) {
        const ComposeService *s = &t->project->services[i];
        _cleanup_(error_done) Error reason = {};
        char *id = NULL;
        int r;

        if (map_get(t->image_ids, s->name))
            continue;
        r = resolve_image(podman, t, s->image, &id, &reason);
        if (r == -ENOENT)
            continue;
        if (r < 0)
            return error_set(err, r, error_id(&reason), "%s", error_message(&reason, r));
        if (map_put(t->image_ids, s->name, id) < 0) {
            free(id);
            return -ENOMEM;
        }
    }
    return 0;
}

void deploy_load_current(DeployPast *before, Report *report)
{
    _cleanup_(error_done) Error reason = {};
    int r = current_load(&before->current, &reason);

    /* containers are known by their labels; without what is remembered of them, only explanations are poorer */
    if (r < 0)
        report_progress(report, "info", NULL, "%s; going on without it, this push writes it anew",
                        error_message(&reason, r));
}

int deploy_observe(Podman *podman, const char *project, DeployPast *before, Report *report, Error *err)
{
    if (!before->current) {
        deploy_load_current(before, report);
        before->project = current_to_project(before->current);
    }
    observed_free_all(before->observed, before->n_observed);
    before->observed = NULL;
    before->n_observed = 0;
    return podman_list(podman, project, &before->observed, &before->n_observed, err);
}

/* Of a first push, by an image that is here: podman takes long to tell about itself. Not where the image may be in another store,
 * which tells nothing about podman's own. */
static char *disk_of_images(const PlanContext *p, const Box *box)
{
    void *id = NULL;

    if (p->before->n_observed > 0 || !map_next(p->target->image_ids, &(size_t) { 0 }, NULL, &id) ||
        podman_has_other_stores(&box->user))
        return NULL;
    return podman_disk_of_image(box->podman, id);
}

/* What cannot be looked at has enough. */
static int check_free(const char *path, const char *advice, Error *err)
{
    struct statvfs vfs;
    unsigned long long free_bytes;

    if (!path || statvfs(path, &vfs) < 0)
        return 0;
    free_bytes = (unsigned long long) vfs.f_bavail * vfs.f_frsize;
    return free_bytes >= DISK_FREE_MIN_BYTES
               ? 0
               : error_set(err, ENOSPC, "preflight.no-space", "only %llu MiB are free at %s, %llu are needed; %s",
                           free_bytes >> 20, path, DISK_FREE_MIN_BYTES >> 20, advice);
}

/* What an image says of a full disk podman is asked about, before it is a reason to refuse. */
static int check_disk(const PlanContext *p, const Box *box, Error *err)
{
    static const char podman_advice[] = "see what takes the room as the podman user: podman system df -v";
    _cleanup_(freep) char *state = path_in_root(AGENT_STATE_DIR), *store = disk_of_images(p, box);
    const char *root = NULL;
    int r = 0;

    if (!store || check_free(store, podman_advice, NULL) < 0)
        r = podman_graphroot(box->podman, &root, err);
    if (r == 0)
        r = check_free(root, podman_advice, err);
    return r < 0 ? r : check_free(state, "see what grew: du -xh --max-depth=2 /var | sort -h", err);
}

/* "ADDRESS:PORT/PROTO" → a socket that can be bound there, 0; -EADDRINUSE when somebody listens. Other failures (an
 * address that this box does not have yet) are podman's to judge. */
static int try_bind(const char *address, uint16_t port, bool udp)
{
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
    struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(port) };
    bool is_v6 = strchr(address, ':') != NULL;
    _cleanup_(closep) int fd = socket(is_v6 ? AF_INET6 : AF_INET, (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);
    int one = 1, r;

    if (fd < 0)
        return 0;
    if (!udp)
        (void) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (*address &&
        inet_pton(is_v6 ? AF_INET6 : AF_INET, address, is_v6 ? (void *) &v6.sin6_addr : (void *) &v4.sin_addr) != 1)
        return 0;
    r = is_v6 ? bind(fd, (struct sockaddr *) &v6, sizeof(v6)) : bind(fd, (struct sockaddr *) &v4, sizeof(v4));
    return r < 0 && errno == EADDRINUSE ? -EADDRINUSE : 0;
}

static int add_bound_ports(const cJSON *info, char ***ports)
{
    const cJSON *bindings =
        cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(info, "HostConfig"), "PortBindings");
    const cJSON *port, *binding;

    cJSON_ArrayForEach(port, bindings) {
        const char *slash = strchr(port->string, '/');

        cJSON_ArrayForEach(binding, port) {
            if (strv_addf(ports, "%s%s", json_string(binding, "HostPort"), slash ? slash : "/tcp") < 0)
                return -ENOMEM;
        }
    }
    return 0;
}

/* "PORT/PROTO" of every container that this push replaces or removes, as podman knows them: those will be free. */
static int list_freed_ports(Podman *podman, const Plan *plan, char ***ret, Error *err)
{
    for (size_t i = 0; i < plan->n_steps; i++) {
        const PlanStep *step = &plan->steps[i];
        _cleanup_(cJSON_Deletep) cJSON *info = NULL;
        int r;

        if (!step->old_id || step->action == PLAN_KEEP)
            continue;
        r = podman_inspect(podman, step->old_id, &info, err);
        if (r == 0)
            r = add_bound_ports(info, ret);
        if (r < 0)
            return r;
    }
    return 0;
}

static int check_port(const ComposeService *s, const char *host_port, char *const *freed, Error *err)
{
    const char *port_and_protocol = strrchr(host_port, ':');
    _cleanup_(freep) char *copy = strdup(host_port);
    char *slash = copy ? strrchr(copy, '/') : NULL, *colon;
    uint64_t port;

    if (!slash)
        return 0;
    *slash = '\0';
    colon = strrchr(copy, ':');
    if (!colon || str_to_u64(colon + 1, 1, 65535, &port) < 0)
        return 0;
    *colon = '\0';
    if (strv_contains(freed, port_and_protocol + 1) ||
        try_bind(copy, (uint16_t) port, str_equal(slash + 1, "udp")) == 0)
        return 0;
    return error_set_at(err, EADDRINUSE, "preflight.port-in-use", NULL, s->line, s->name,
                        "service %s wants port %s, but another program listens there (see: ss -lntup)", s->name,
                        host_port);
}

static int check_ports(Podman *podman, const ComposeProject *p, const Plan *plan, Error *err)
{
    _cleanup_(strv_freep) char **freed = NULL;
    int listed = list_freed_ports(podman, plan, &freed, err);

    if (listed < 0)
        return listed;
    for (size_t i = 0; i < plan->n_steps; i++) {
        const PlanStep *step = &plan->steps[i];
        const ComposeService *s = compose_service_find(p, step->service);
        int r = 0;

        if (!s || (step->action != PLAN_CREATE && step->action != PLAN_REPLACE))
            continue;
        r = other_projects_check_ports(s, err);
        for (char **port = s->host_ports; r == 0 && port && *port; port++)
            r = check_port(s, *port, freed, err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Which of them makes a new container, and why when that was not asked for. */
static int choose_engines(const Box *box, const ComposeProject *p, Plan *plan, Report *report)
{
    for (size_t i = 0; i < plan->n_steps; i++) {
        PlanStep *step = &plan->steps[i];
        const ComposeService *s = compose_service_find(p, step->service);

        if (!s || (step->action != PLAN_CREATE && step->action != PLAN_REPLACE))
            continue;
        step->engine = strdup(deploy_engine_of(box, p, s, &step->why)->name);
        if (!step->engine)
            return -ENOMEM;
        report_progress(report, "info", s->name, "%s makes the container of %s%s%s", step->engine, s->name,
                        step->why ? ": " : "", step->why ? step->why : "");
    }
    return 0;
}

static int report_plan(const Box *box, const ComposeProject *p, Plan *plan, Report *report)
{
    int r;

    for (size_t i = 0; i < plan->n_steps; i++) {
        const PlanStep *s = &plan->steps[i];

        if (s->action != PLAN_KEEP)
            report_progress(report, "info", s->service, "%s %s%s%s", plan_action_to_string(s->action), s->service,
                            str_empty(s->reason) ? "" : ": ", s->reason ? s->reason : "");
    }
    r = choose_engines(box, p, plan, report);
    report_progress(report, "info", NULL, "%zu of %zu services change", plan->n_changes, plan->n_steps);
    return r;
}

/* Services whose images are not here yet get no id. */
static int find_images(const PlanContext *p, Podman *podman, Error *err)
{
    DeployTarget *t = p->target;

    if (!t->image_ids)
        t->image_ids = map_new(free);
    if (!t->image_ids)
        return -ENOMEM;
    return p->order->only ? update_resolve_images(podman, t, p->before->current, p->journal, err)
                          : resolve_images(podman, t, err);
}

int deploy_observe_and_plan(const PlanContext *p, Podman *podman, Error *err)
{
    int r = deploy_observe(podman, p->target->project->name, p->before, p->report, err);

    if (r == 0)
        r = deploy_make_plan(p->target, p->before, p->order, p->plan, err);
    return r == 0 && !p->order->only ? guests_plan(podman, p->target->project, *p->plan, err) : r;
}

/* Whether the plan can be carried out. */
static int check_plan(const PlanContext *p, Box *box, Error *err)
{
    int r = deploy_check_binds(box, p->target, p->before, *p->plan, err);

    if (r == 0)
        r = check_ports(box->podman, p->target->project, *p->plan, err);
    if (r == 0)
        r = deploy_check_needs(box, p->target, *p->plan, err);
    return r == 0 && (*p->plan)->n_changes > 0 ? check_disk(p, box, err) : r;
}

int deploy_preflight(const PlanContext *p, Box *box, const char *podman_compose, Error *err)
{
    int r = box_open(box, podman_compose, err);

    if (r < 0)
        return r;
    report_progress(p->report, "info", NULL, "podman %s as %s, podman-compose %s: %s", podman_version(box->podman),
                    box->user.name, box->driver.version, driver_strategy_to_string(box->driver.strategy));
    r = deploy_name_images(box, p->target, p->report, err);
    if (r == 0)
        r = find_images(p, box->podman, err);
    if (r == 0)
        r = deploy_observe_and_plan(p, box->podman, err);
    if (r == 0)
        r = report_plan(box, p->target->project, *p->plan, p->report);
    return r == 0 ? check_plan(p, box, err) : r;
}

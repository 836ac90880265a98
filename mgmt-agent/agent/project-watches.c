/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/agent/project-watches.h"

#include <errno.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "mgmt-agent/agent/image-watch.h"
#include "mgmt-agent/agent/service-watch.h"
#include "mgmt-agent/state/project.h"

typedef struct ProjectWatch {
    char *name;
    Watch *watch;
    ServiceWatch *services;
} ProjectWatch;

struct ProjectList {
    usec_t poll_interval;
    unsigned pace;
    ProjectWatch items[PROJECTS_MAX];
    size_t n;
};

static void item_done(ProjectWatch *p)
{
    watch_free(p->watch);
    service_watch_free(p->services);
    free(p->name);
    *p = (ProjectWatch) {};
}

static ProjectWatch *find(const Agent *a, const char *name)
{
    ProjectList *all = a->projects;

    for (size_t i = 0; all && name && i < all->n; i++)
        if (str_equal(all->items[i].name, name))
            return &all->items[i];
    return NULL;
}

Watch *agent_watch_of(const Agent *a, const char *project)
{
    const ProjectWatch *p = find(a, project);

    return !project ? a->watch : p ? p->watch : NULL;
}

ServiceWatch *agent_services_of(const Agent *a, const char *project)
{
    const ProjectWatch *p = find(a, project);

    return !project ? a->services : p ? p->services : NULL;
}

static int begin(Agent *a, const char *name, Error *err)
{
    ProjectList *all = a->projects;
    ProjectWatch *p = &all->items[all->n];
    int r;

    if (all->n == ELEMENTSOF(all->items))
        return error_set(err, E2BIG, "project.too-many", "more than %d projects are not watched", PROJECTS_MAX);
    p->name = strdup(name);
    r = p->name ? watch_new(a, name, all->poll_interval, &p->watch, err) : -ENOMEM;
    if (r >= 0)
        r = service_watch_new(a, name, all->pace, &p->services, err);
    if (r < 0) {
        item_done(p);
        return r;
    }
    watch_take_halted(p->watch, a->watch);
    all->n++;
    return 0;
}

static void end(ProjectList *all, size_t i)
{
    item_done(&all->items[i]);
    all->n--;
    memmove(&all->items[i], &all->items[i + 1], (all->n - i) * sizeof(all->items[0]));
    all->items[all->n] = (ProjectWatch) {};
}

void project_watches_follow(Agent *a)
{
    ProjectList *all = a->projects;
    _cleanup_(strv_freep) char **names = NULL;

    if (!all || project_list(&names) < 0) /* those that are there go on */
        return;
    for (size_t i = all->n; i-- > 0;)
        if (!strv_contains(names, all->items[i].name))
            end(all, i);
    for (char **name = names; name && *name; name++) {
        _cleanup_(error_done) Error err = {};
        int r = find(a, *name) ? 0 : begin(a, *name, &err);

        if (r < 0)
            log_failure(LOG_LEVEL_ERROR, NULL, &err, r, "Project %s is not watched", *name);
    }
}

void project_watches_continue(Agent *a)
{
    for (size_t i = 0; a->projects && i < a->projects->n; i++) {
        watch_continue(a->projects->items[i].watch);
        service_watch_continue(a->projects->items[i].services);
    }
}

void project_watches_take_settings(const Agent *a)
{
    for (size_t i = 0; a->projects && i < a->projects->n; i++)
        service_watch_take_settings(a->projects->items[i].services);
}

void project_watches_note_progress(const Agent *a, const cJSON *message)
{
    for (size_t i = 0; a->projects && i < a->projects->n; i++)
        watch_note_progress(a->projects->items[i].watch, message);
}

void project_watches_note_result(const Agent *a, const cJSON *result)
{
    Watch *own = agent_watch_of(a, json_string(result, "project"));

    watch_note_result(own, result);
    if (a->watch != own)
        watch_note_others_result(a->watch, result);
    for (size_t i = 0; a->projects && i < a->projects->n; i++)
        if (a->projects->items[i].watch != own)
            watch_note_others_result(a->projects->items[i].watch, result);
}

void project_watches_forget_client(const Agent *a, const ControlClient *c)
{
    for (size_t i = 0; a->projects && i < a->projects->n; i++)
        watch_forget_client(a->projects->items[i].watch, c);
}

void project_watches_note_halted(const Agent *a, const cJSON *digests)
{
    for (size_t i = 0; a->projects && i < a->projects->n; i++)
        watch_note_halted(a->projects->items[i].watch, digests);
}

bool agent_watch_is_at_work(const Agent *a)
{
    bool any = watch_is_at_work(a->watch);

    for (size_t i = 0; !any && a->projects && i < a->projects->n; i++)
        any = watch_is_at_work(a->projects->items[i].watch);
    return any;
}

bool agent_services_are_asked(const Agent *a)
{
    bool any = service_watch_is_asking(a->services);

    for (size_t i = 0; !any && a->projects && i < a->projects->n; i++)
        any = service_watch_is_asking(a->projects->items[i].services);
    return any;
}

void agent_arm_watches(const Agent *a)
{
    if (a->watch)
        watch_arm(a->watch);
    for (size_t i = 0; a->projects && i < a->projects->n; i++)
        watch_arm(a->projects->items[i].watch);
}

size_t agent_count_news(const Agent *a)
{
    size_t n = watch_count_news(a->watch);

    for (size_t i = 0; a->projects && i < a->projects->n; i++)
        n += watch_count_news(a->projects->items[i].watch);
    return n;
}

ProjectList *project_watches_free(ProjectList *w)
{
    for (size_t i = 0; w && i < w->n; i++)
        item_done(&w->items[i]);
    free(w);
    return NULL;
}

int project_watches_new(Agent *a, usec_t poll_interval, unsigned pace, ProjectList **ret, Error *err)
{
    ProjectList *w = calloc(1, sizeof(*w));

    if (!w)
        return error_set(err, ENOMEM, "agent.start", "no memory");
    w->poll_interval = poll_interval;
    w->pace = pace;
    *ret = w;
    project_watches_follow(a);
    return 0;
}

/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/worker/phases/other-projects.h"

#include <errno.h>
#include <string.h>

#include "compose/plan/plan.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "mgmt-agent/state/current.h"
#include "mgmt-agent/state/project.h"

int other_project_error(const ComposeService *s, const char *kind, const char *name, const char *owner, Error *err)
{
    return error_set_at(err, EPERM, "preflight.other-project", NULL, s->line, s->name,
                        "service %s uses the %s %s, which is that of project %.*s; to allow it on this box, add "
                        "\"other_project:%s\" to services.\"%s\".allow in the policy of project %s",
                        s->name, kind, name, (int) strcspn(owner, "/"), owner, name, compose_declared_name(s),
                        project_selected());
}

int other_project_check(const ComposePolicy *policy, const ComposeService *s, const char *kind, const char *name,
                        const cJSON *labels, Error *err)
{
    const char *owner = json_string(labels, LABEL_PROJECT);

    /* what somebody made by hand for a project of his own is none of ours */
    if (!owner || str_equal(owner, project_selected()) || !project_is_known(owner) ||
        policy_allows_other(policy, compose_declared_name(s), name))
        return 0;
    return other_project_error(s, kind, name, owner, err);
}

static bool is_any_address(const char *port, size_t len)
{
    static const char *const any[] = { "", "0.0.0.0", "[::]", "::" };

    for (size_t i = 0; i < ELEMENTSOF(any); i++)
        if (strlen(any[i]) == len && strncmp(port, any[i], len) == 0)
            return true;
    return false;
}

/* Both as in CurrentService.host_ports: "ADDRESS:PORT/PROTOCOL". */
static bool ports_meet(const char *a, const char *b)
{
    const char *one = strrchr(a, ':'), *other = strrchr(b, ':');

    if (!one || !other || !str_equal(one, other))
        return false;
    return is_any_address(a, (size_t) (one - a)) || is_any_address(b, (size_t) (other - b)) || str_equal(a, b);
}

static int check_beside(const ComposeService *s, const Current *current, const char *project, Error *err)
{
    for (size_t i = 0; current && i < current->n_services; i++)
        for (char *const *theirs = current->services[i].host_ports; theirs && *theirs; theirs++)
            for (char *const *ours = s->host_ports; ours && *ours; ours++)
                if (ports_meet(*ours, *theirs))
                    return error_set_at(err, EADDRINUSE, "preflight.port-in-use", NULL, s->line, s->name,
                                        "service %s wants port %s, which service %s of project %s has, whether it runs "
                                        "or not; give it another port, or take that one from project %s",
                                        s->name, *ours, current->services[i].name, project, project);
    return 0;
}

int other_projects_check_ports(const ComposeService *s, Error *err)
{
    _cleanup_(strv_freep) char **others = NULL;
    int r = s->host_ports ? project_list(&others) : 0;

    for (size_t i = 0; r == 0 && s->host_ports && i <= strv_length(others); i++) {
        const char *name = i == 0 ? project_own() : others[i - 1];
        _cleanup_(current_freep) Current *current = NULL;

        if (str_equal(name, project_selected()))
            continue;
        _cleanup_(project_leave) ProjectScope scope _unused_ = project_enter(name);
        /* what cannot be read says nothing against a push of another project */
        if (current_load(&current, NULL) == 0)
            r = check_beside(s, current, name, err);
    }
    return r;
}

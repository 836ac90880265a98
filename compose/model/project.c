/* SPDX-License-Identifier: MIT */
#include "compose/model/project.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"

static void service_done(ComposeService *s)
{
    free(s->name);
    free(s->replica_of);
    free(s->container_name);
    free(s->image);
    free(s->pull_policy);
    cJSON_Delete(s->environment);
    cJSON_Delete(s->config);
    strv_free(s->depends_on);
    cJSON_Delete(s->depends_conditions);
    strv_free(s->restarts_with);
    cJSON_Delete(s->healthcheck);
    free(s->restart);
    strv_free(s->networks);
    strv_free(s->bind_sources);
    strv_free(s->volumes);
    strv_free(s->host_ports);
}

ComposeProject *compose_project_free(ComposeProject *p)
{
    if (!p)
        return NULL;
    for (size_t i = 0; i < p->n_services; i++)
        service_done(&p->services[i]);
    free(p->services);
    free(p->name);
    cJSON_Delete(p->networks);
    cJSON_Delete(p->volumes);
    free(p);
    return NULL;
}

const ComposeService *compose_service_find(const ComposeProject *p, const char *name)
{
    for (size_t i = 0; p && i < p->n_services; i++)
        if (str_equal(p->services[i].name, name))
            return &p->services[i];
    return NULL;
}

const char *compose_declared_name(const ComposeService *s)
{
    return s->replica_of ? s->replica_of : s->name;
}

const char *const compose_shared_keys[] = { "network_mode", "pid", "ipc", NULL };

static const ComposeService *host_of(const ComposeProject *p, const ComposeService *s, const char *key)
{
    const char *mode = json_string(s->config, key);

    return mode && str_starts(mode, "service:") ? compose_service_find(p, mode + strlen("service:")) : NULL;
}

const ComposeService *compose_owner(const ComposeProject *p, const ComposeService *s, const char *key)
{
    const ComposeService *owner = host_of(p, s, key);

    for (size_t i = 0; owner && host_of(p, owner, key) && i < p->n_services; i++)
        owner = host_of(p, owner, key);
    return owner;
}

const char *compose_shared_container(const ComposeProject *p, const ComposeService *s, const char *key)
{
    const char *mode = json_string(s->config, key);
    const ComposeService *host = host_of(p, s, key);

    return host ? host->container_name : mode && str_starts(mode, "container:") ? mode + strlen("container:") : NULL;
}

/* Marks those that share something with a service that is marked already; whether there were any. */
static bool mark_more(const ComposeProject *p, bool *marked, size_t n)
{
    bool more = false;

    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; compose_shared_keys[k] && !marked[i]; k++) {
            const ComposeService *host = host_of(p, &p->services[i], compose_shared_keys[k]);
            size_t at = host ? (size_t) (host - p->services) : n;

            marked[i] = at < n && marked[at];
            more = more || marked[i];
        }
    return more;
}

bool compose_lives_in(const ComposeProject *p, const ComposeService *s, char *const *names)
{
    bool marked[COMPOSE_SERVICES_MAX] = {};
    size_t n = p->n_services < ELEMENTSOF(marked) ? p->n_services : ELEMENTSOF(marked);

    for (size_t i = 0; i < n; i++)
        marked[i] = strv_contains(names, p->services[i].name);
    while (mark_more(p, marked, n))
        continue;
    for (size_t k = 0; compose_shared_keys[k]; k++) {
        const ComposeService *host = host_of(p, s, compose_shared_keys[k]);
        size_t at = host ? (size_t) (host - p->services) : n;

        if (at < n && marked[at])
            return true;
    }
    return false;
}

/* SPDX-License-Identifier: MIT */
#include "compose/model/project.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/strv.h"
#include "lib/data/json.h"

static void service_done(ComposeService *s)
{
    free(s->name);
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

static const ComposeService *host_of(const ComposeProject *p, const ComposeService *s)
{
    const char *mode = json_string(s->config, "network_mode");

    return mode && str_starts(mode, "service:") ? compose_service_find(p, mode + strlen("service:")) : NULL;
}

const ComposeService *compose_network_owner(const ComposeProject *p, const ComposeService *s)
{
    const ComposeService *owner = host_of(p, s);

    for (size_t i = 0; owner && host_of(p, owner) && i < p->n_services; i++)
        owner = host_of(p, owner);
    return owner;
}

bool compose_lives_in(const ComposeProject *p, const ComposeService *s, char *const *names)
{
    for (size_t i = 0; (s = host_of(p, s)) && i < p->n_services; i++)
        if (strv_contains(names, s->name))
            return true;
    return false;
}

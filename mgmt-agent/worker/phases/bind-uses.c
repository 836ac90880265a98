/* SPDX-License-Identifier: MIT */
/* Who mounts what: by the compose file, and by podman's word. */

#include "mgmt-agent/worker/phases/bind-uses.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/strv.h"
#include "mgmt-agent/worker/phases/binds.h"

void bind_uses_done(BindUses *u)
{
    for (size_t i = 0; i < u->n; i++) {
        free(u->items[i].service);
        free(u->items[i].source);
    }
    free(u->items);
    *u = (BindUses) {};
}

int bind_uses_add(BindUses *u, const char *service, const char *source, bool writable)
{
    BindUse *grown = reallocarray(u->items, u->n + 1, sizeof(*grown));
    BindUse use = { strdup(service), strdup(source), writable };

    if (grown)
        u->items = grown;
    if (!grown || !use.service || !use.source) {
        free(use.service);
        free(use.source);
        return -ENOMEM;
    }
    grown[u->n++] = use;
    return 0;
}

/* A named volume may be a host folder after all, where the box's owner allows such options. */
static const char *source_of(const ComposeProject *p, const Map *bind_targets, const cJSON *volume)
{
    const char *source = json_string(volume, "source"), *device;
    const cJSON *definition;

    if (!source || str_equal(json_string(volume, "type"), "tmpfs"))
        return NULL;
    if (str_equal(json_string(volume, "type"), "bind"))
        return deploy_bind_target(bind_targets, source);
    definition = cJSON_GetObjectItemCaseSensitive(p->volumes, source);
    device = json_string(cJSON_GetObjectItemCaseSensitive(definition, "driver_opts"), "device");
    return device && device[0] == '/' ? device : NULL;
}

int bind_uses_of_project(const ComposeProject *p, const Map *bind_targets, BindUses *u)
{
    for (size_t i = 0; i < p->n_services; i++) {
        const ComposeService *s = &p->services[i];
        const cJSON *volume;

        cJSON_ArrayForEach(volume, cJSON_GetObjectItemCaseSensitive(s->config, "volumes")) {
            const char *source = source_of(p, bind_targets, volume);

            if (source && bind_uses_add(u, s->name, source, !json_bool(volume, "read_only", false)) < 0)
                return -ENOMEM;
        }
    }
    return 0;
}

int bind_uses_of_container(const cJSON *info, const char *service, BindUses *u)
{
    const cJSON *mount;

    cJSON_ArrayForEach(mount, cJSON_GetObjectItemCaseSensitive(info, "Mounts")) {
        const char *source = json_string(mount, "Source");

        if (source && str_equal(json_string(mount, "Type"), "bind") &&
            bind_uses_add(u, service, source, json_bool(mount, "RW", true)) < 0)
            return -ENOMEM;
    }
    return 0;
}

int bind_uses_of_containers(Podman *podman, const ObservedContainer *containers, size_t n, BindUses *u, Error *err)
{
    for (size_t i = 0; i < n; i++) {
        const ObservedContainer *c = &containers[i];
        _cleanup_(cJSON_Deletep) cJSON *info = NULL;
        _cleanup_(error_done) Error reason = {};
        const char *who = c->service ? c->service : c->elsewhere;
        int r = who ? podman_inspect(podman, c->id, &info, &reason) : -ENOENT;

        if (r == -ENOENT) /* not ours, or gone since it was listed */
            continue;
        if (r < 0)
            return error_set(err, r, error_id(&reason), "%s", error_message(&reason, r));
        if (bind_uses_of_container(info, who, u) < 0)
            return -ENOMEM;
    }
    return 0;
}

int bind_uses_add_store(Podman *podman, BindUses *u, Error *err)
{
    const char *store = NULL;
    int r = podman_graphroot(podman, &store, err);

    if (r < 0 || !store || store[0] != '/')
        return r;
    return bind_uses_add(u, "", store, true);
}

int bind_conflict_error(const BindUse *use, const BindUse *other, Error *err)
{
    const char *place = path_is_below(use->source, other->source) ? "above" : "below";
    const BindUse *writer = other->writable ? other : use;

    if (!*other->service)
        return error_set(err, EPERM, "preflight.bind-overlap",
                         "service %s mounts %s, and podman keeps its store in %s, %s it; mount another folder",
                         use->service, use->source, other->source, place);
    return error_set(
        err, EPERM, "preflight.bind-overlap",
        "service %s mounts %s, and service %s mounts %s, %s it: service %s may write there, and could put a link to "
        "any part of the host in the way; mount folders that do not lie in each other, or both read-only",
        use->service, use->source, other->service, other->source, place, writer->service);
}

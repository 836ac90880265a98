/* SPDX-License-Identifier: MIT */
/* What a project leaves in podman beside its containers: by the label that both engines give it. */
#include <errno.h>
#include <string.h>

#include "compose/plan/plan.h"
#include "lib/base/strv.h"
#include "mgmt-agent/worker/podman/podman-call.h"

#define CALL_TIMEOUT_USEC (30 * USEC_PER_SEC)

static int list(Podman *p, const char *path, const char *what, cJSON **ret, Error *err)
{
    _cleanup_(http_response_done) HttpResponse response = {};
    int r = podman_call(p, "GET", path, NULL, CALL_TIMEOUT_USEC, what, &response, err);

    if (r < 0)
        return r;
    r = json_parse(response.body, response.body_len, ret, err);
    return r < 0 ? error_prefix(err, r, "podman's answer to '%s'", what) : 0;
}

/* A name that podman can have given needs nothing in a path. */
static bool is_plain(const char *name)
{
    return *name && name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")] == '\0';
}

static bool is_kept(const cJSON *keep, const char *name)
{
    const cJSON *definition;

    cJSON_ArrayForEach(definition, keep)
        if (str_equal(json_string(definition, "name"), name))
            return true;
    return false;
}

void podman_remove_networks(Podman *p, const char *project, const cJSON *keep)
{
    _cleanup_(cJSON_Deletep) cJSON *networks = NULL;
    const cJSON *network;

    if (list(p, "/networks/json", "list networks", &networks, NULL) < 0)
        return;
    cJSON_ArrayForEach(network, networks) {
        const char *name = json_string(network, "name");
        const cJSON *labels = cJSON_GetObjectItemCaseSensitive(network, "labels");
        _cleanup_(freep) char *path = NULL;

        if (!name || !str_equal(json_string(labels, LABEL_PROJECT), project) || is_kept(keep, name))
            continue;
        path = str_format("/networks/%s", name);
        /* podman refuses while a container is on it */
        if (path && podman_call(p, "DELETE", path, NULL, CALL_TIMEOUT_USEC, "remove a network", NULL, NULL) < 0)
            continue;
    }
}

int podman_remove_volumes(Podman *p, const char *project, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *volumes = NULL;
    const cJSON *volume;
    int r = list(p, "/volumes/json", "list volumes", &volumes, err);

    cJSON_ArrayForEach(volume, volumes) {
        const char *name = json_string(volume, "Name");
        _cleanup_(freep) char *path = name && is_plain(name) ? str_format("/volumes/%s", name) : NULL;

        if (r < 0 || !path ||
            !str_equal(json_string(cJSON_GetObjectItemCaseSensitive(volume, "Labels"), LABEL_PROJECT), project))
            continue;
        r = podman_call(p, "DELETE", path, NULL, CALL_TIMEOUT_USEC, "remove a volume", NULL, err);
    }
    return r;
}

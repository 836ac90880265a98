/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/worker/podman/podman-ids.h"

#include <errno.h>

#include "mgmt-agent/worker/podman/podman-call.h"

#define INFO_TIMEOUT_USEC (2 * USEC_PER_MINUTE)

int podman_id_maps(Podman *p, cJSON **ret, Error *err)
{
    _cleanup_(http_response_done) HttpResponse response = {};
    _cleanup_(cJSON_Deletep) cJSON *info = NULL;
    int r = podman_call(p, "GET", "/info", NULL, INFO_TIMEOUT_USEC, "tell about itself", &response, err);

    if (r == 0)
        r = json_parse_object(response.body, response.body_len, &info, err);
    if (r < 0)
        return r;
    *ret = cJSON_DetachItemFromObjectCaseSensitive(cJSON_GetObjectItemCaseSensitive(info, "host"), "idMappings");
    return *ret ? 0
                : error_set(err, EIO, "podman.refused",
                            "podman does not tell whose ids its containers have; try: podman info");
}

static bool take_entry(const cJSON *entry, uint32_t id, uint32_t *ret)
{
    uint64_t first, host, size;

    if (json_u64(entry, "container_id", &first) < 0 || json_u64(entry, "host_id", &host) < 0 ||
        json_u64(entry, "size", &size) < 0 || id < first || id - first >= size || host + (id - first) >= UINT32_MAX)
        return false;
    *ret = (uint32_t) (host + (id - first));
    return true;
}

int podman_answer_host_id(const cJSON *maps, const char *map, uint32_t id, uint32_t *ret)
{
    const cJSON *entries = cJSON_GetObjectItemCaseSensitive(maps, map), *entry;

    /* root's containers are in the host's own namespace */
    if (cJSON_GetArraySize(entries) == 0) {
        *ret = id;
        return 0;
    }
    cJSON_ArrayForEach(entry, entries) {
        if (take_entry(entry, id, ret))
            return 0;
    }
    return -ERANGE;
}

/* SPDX-License-Identifier: MIT */
/* A trouble is known by its service and by when it began, as the box says it. */
#include "gateway/devices/service-alarms.h"

#include <errno.h>

#include "gateway/auth/audit.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"

static int copy(cJSON *to, const cJSON *from, const char *const *keys, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(from, keys[i]);
        if (item && json_add_item(to, keys[i], cJSON_Duplicate(item, true)) < 0)
            return -ENOMEM;
    }
    return 0;
}

static cJSON *make_detail(const cJSON *service, const cJSON *trouble, bool over)
{
    static const char *const down[] = { "what", "since", "exitCode", "restarts", "error", "log" };
    static const char *const well[] = { "since", "until", "restarts" };
    _cleanup_(cJSON_Deletep) cJSON *detail = cJSON_CreateObject();
    if (!detail || json_add_string(detail, "service", json_string(service, "name")) < 0 ||
        (over && json_add_string(detail, "state", json_string(service, "state")) < 0) ||
        (over ? copy(detail, trouble, well, ELEMENTSOF(well)) : copy(detail, trouble, down, ELEMENTSOF(down))) < 0)
        return NULL;
    return TAKE_PTR(detail);
}

/* Where entries go, and who is told. */
typedef struct Place {
    Store *store;
    const char *device;
    store_done_t on_done;
    void *userdata;
} Place;

static int write_one(const Place *p, const cJSON *service, const cJSON *trouble, bool over)
{
    static const char *const same[] = { "service", "since", NULL };
    _cleanup_(freep) char *actor = str_format("device:%s", p->device);
    cJSON *detail = make_detail(service, trouble, over);
    if (!actor || !detail) {
        cJSON_Delete(detail);
        return -ENOMEM;
    }
    const AuditEntry entry = {
        .actor = actor,
        .action = over ? "service.well" : "service.down",
        .device = p->device,
        .alarm = !over,
        .detail = detail,
    };
    return audit_write_once(p->store, &entry, same, p->on_done, p->userdata);
}

int service_alarms_take(Store *store, const char *device, const cJSON *status, store_done_t on_done, void *userdata)
{
    const Place place = { store, device, on_done, userdata };
    const cJSON *service;
    int r = 0;
    cJSON_ArrayForEach(service, cJSON_GetObjectItemCaseSensitive(status, "services")) {
        const cJSON *trouble = cJSON_GetObjectItemCaseSensitive(service, "trouble");
        if (!json_string(service, "name") || !json_string(trouble, "since"))
            continue;
        r = write_one(&place, service, trouble, false);
        if (r >= 0 && json_string(trouble, "until"))
            r = write_one(&place, service, trouble, true);
        if (r < 0)
            return r;
    }
    return 0;
}

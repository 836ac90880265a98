/* SPDX-License-Identifier: MIT */
/* A fault is known by its program and by when it began, as the box says it. */
#include "gateway/devices/config-faults.h"

#include <errno.h>

#include "gateway/auth/audit.h"
#include "lib/base/map.h"
#include "lib/base/strv.h"
#include "lib/data/config-fault.h"
#include "lib/data/json.h"

#define FAULTS_MAX 8

struct ConfigFaults {
    Store *store;
    Map *boxes; /* device → the array, as text */
};

cJSON *config_faults_kept(const cJSON *said)
{
    _cleanup_(cJSON_Deletep) cJSON *kept = cJSON_CreateArray();
    const cJSON *fault;

    cJSON_ArrayForEach(fault, said) {
        const cJSON *error = cJSON_GetObjectItemCaseSensitive(fault, "error");
        if (!json_string(fault, "program") || !json_string(fault, "since") || !json_string(error, "message"))
            continue;
        cJSON *copy = cJSON_GetArraySize(kept) < FAULTS_MAX ? cJSON_CreateObject() : NULL;
        if (copy &&
            (json_append(kept, copy) < 0 || json_add_string(copy, "program", json_string(fault, "program")) < 0 ||
             json_add_string(copy, "since", json_string(fault, "since")) < 0 ||
             json_add_item(copy, "error", cJSON_Duplicate(error, true)) < 0))
            return NULL;
    }
    return TAKE_PTR(kept);
}

bool config_faults_hold(const cJSON *faults, const cJSON *fault)
{
    const cJSON *each;

    cJSON_ArrayForEach(each, faults)
        if (str_equal(json_string(each, "program"), json_string(fault, "program")) &&
            str_equal(json_string(each, "since"), json_string(fault, "since")))
            return true;
    return false;
}

static cJSON *faults_before(const ConfigFaults *c, const char *device)
{
    const char *text = map_get(c->boxes, device);
    cJSON *faults = text ? cJSON_Parse(text) : NULL;

    return faults ? faults : cJSON_CreateArray();
}

static int tell(ConfigFaults *c, const char *device, const cJSON *fault, bool over)
{
    static const char *const same[] = { "program", "since", NULL };
    _cleanup_(freep) char *actor = str_format("device:%s", device);
    cJSON *detail = actor ? cJSON_Duplicate(fault, true) : NULL;
    const AuditEntry entry = {
        .actor = actor,
        .action = over ? "config.well" : "config.fault",
        .device = device,
        .alarm = !over && !str_equal(json_string(cJSON_GetObjectItemCaseSensitive(fault, "error"), "id"), CONFIG_WAITS),
        .detail = detail,
    };

    return detail ? audit_write_once(c->store, &entry, same) : -ENOMEM;
}

/* Those of `these` that `others` lack. */
static int tell_news(ConfigFaults *c, const char *device, const cJSON *these, const cJSON *others, bool over)
{
    const cJSON *fault;
    int r = 0;

    cJSON_ArrayForEach(fault, these)
        if (r >= 0 && !config_faults_hold(others, fault))
            r = tell(c, device, fault, over);
    return r;
}

static void on_status(DeviceConn *s, const cJSON *status, void *userdata)
{
    ConfigFaults *c = userdata;
    const char *device = device_conn_device(s);
    _cleanup_(cJSON_Deletep) cJSON *now = config_faults_kept(cJSON_GetObjectItemCaseSensitive(status, "configFaults"));
    _cleanup_(cJSON_Deletep) cJSON *before = faults_before(c, device);
    char *text = now ? json_print(now) : NULL;

    /* what could not be told is told with the next status */
    if (!text || !before || tell_news(c, device, now, before, false) < 0 ||
        tell_news(c, device, before, now, true) < 0 || map_put(c->boxes, device, text) < 0) {
        free(text);
        return;
    }
    if (cJSON_GetArraySize(now) == 0)
        map_remove(c->boxes, device);
}

static int describe(const char *device, cJSON *object, void *userdata)
{
    const ConfigFaults *c = userdata;

    if (!map_get(c->boxes, device))
        return 0;
    return json_add_item(object, "configFaults", faults_before(c, device));
}

static const DeviceMessage messages[] = {
    { "agent.status", true, on_status },
    {},
};

static void on_removed(const char *device, void *userdata)
{
    map_remove(((ConfigFaults *) userdata)->boxes, device);
}

static const DeviceListener listener = { .messages = messages, .on_removed = on_removed, .describe = describe };

ConfigFaults *config_faults_new(Store *store, DeviceConns *conns)
{
    ConfigFaults *c = calloc(1, sizeof(*c));
    if (!c)
        return NULL;
    *c = (ConfigFaults) { .store = store, .boxes = map_new(free) };
    if (!c->boxes || device_conns_listen(conns, &listener, c) < 0)
        return config_faults_free(c);
    return c;
}

ConfigFaults *config_faults_free(ConfigFaults *c)
{
    if (c) {
        map_free(c->boxes);
        free(c);
    }
    return NULL;
}

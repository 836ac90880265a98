/* SPDX-License-Identifier: MIT */
#include "gateway/devices/unnamed-root.h"

#include <string.h>

#include "gateway/auth/audit.h"
#include "lib/base/map.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"

struct UnnamedRoots {
    Store *store;
    Map *told; /* the devices whose last status said so */
};

static void on_status(DeviceConn *s, const cJSON *status, void *userdata)
{
    UnnamedRoots *u = userdata;
    const char *device = device_conn_device(s);
    _cleanup_(freep) char *actor = str_format("device:%s", device);
    char *mark;

    if (!json_bool(status, "unnamedRoot", false)) {
        map_remove(u->told, device);
        return;
    }
    if (map_get(u->told, device))
        return;
    mark = strdup("");
    if (!mark || map_put(u->told, device, mark) < 0) {
        free(mark); /* told again next time */
        return;
    }
    audit_write(u->store, &(AuditEntry) { .actor = actor ? actor : "device",
                                          .action = "podman.unnamed-root",
                                          .device = device,
                                          .alarm = true });
}

static const DeviceMessage messages[] = {
    { "agent.status", true, on_status },
    {},
};

static const DeviceListener listener = { .messages = messages };

UnnamedRoots *unnamed_roots_new(Store *store, DeviceConns *conns)
{
    UnnamedRoots *u = calloc(1, sizeof(*u));
    if (!u)
        return NULL;
    *u = (UnnamedRoots) { .store = store, .told = map_new(free) };
    if (!u->told || device_conns_listen(conns, &listener, u) < 0)
        return unnamed_roots_free(u);
    return u;
}

UnnamedRoots *unnamed_roots_free(UnnamedRoots *u)
{
    if (u) {
        map_free(u->told);
        free(u);
    }
    return NULL;
}

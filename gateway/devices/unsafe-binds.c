/* SPDX-License-Identifier: MIT */
#include "gateway/devices/unsafe-binds.h"

#include <string.h>

#include "gateway/auth/audit.h"
#include "lib/base/map.h"
#include "lib/base/strv.h"
#include "lib/data/digest.h"
#include "lib/data/json.h"

struct UnsafeBinds {
    Store *store;
    Map *named; /* device → digest of those that the last alarm named */
};

/* A box may say what it likes: of each only this much is kept and shown. */
#define BINDS_SHOWN_MAX 16

static cJSON *shown_part(const cJSON *binds)
{
    cJSON *part = cJSON_CreateArray();
    const cJSON *bind;
    int n = 0;

    cJSON_ArrayForEach(bind, binds) {
        if (cJSON_IsObject(bind) && n++ < BINDS_SHOWN_MAX && json_append(part, cJSON_Duplicate(bind, true)) < 0) {
            cJSON_Delete(part);
            return NULL;
        }
    }
    return part;
}

static void on_status(DeviceConn *s, const cJSON *status, void *userdata)
{
    UnsafeBinds *u = userdata;
    const char *device = device_conn_device(s);
    _cleanup_(cJSON_Deletep) cJSON *binds = shown_part(cJSON_GetObjectItemCaseSensitive(status, "unsafeBinds"));
    _cleanup_(freep) char *text = binds ? json_print(binds) : NULL;
    _cleanup_(freep) char *actor = str_format("device:%s", device);
    char hex[SHA256_HEX_SIZE];
    char *digest;

    if (cJSON_GetArraySize(binds) == 0) {
        map_remove(u->named, device);
        return;
    }
    if (!text || sha256_hex(text, strlen(text), hex) < 0 || str_equal(map_get(u->named, device), hex))
        return;
    digest = strdup(hex);
    if (!digest || map_put(u->named, device, digest) < 0) {
        free(digest); /* told again next time */
        return;
    }
    cJSON *detail = cJSON_CreateObject();
    if (detail && json_add_item(detail, "binds", TAKE_PTR(binds)) < 0)
        detail = (cJSON_Delete(detail), NULL);
    audit_write(u->store, &(AuditEntry) { .actor = actor ? actor : "device",
                                          .action = "bind.unsafe",
                                          .device = device,
                                          .alarm = true,
                                          .detail = detail });
}

static const DeviceMessage messages[] = {
    { "agent.status", true, on_status },
    {},
};

static void on_removed(const char *device, void *userdata)
{
    map_remove(((UnsafeBinds *) userdata)->named, device);
}

static const DeviceListener listener = { .messages = messages, .on_removed = on_removed };

UnsafeBinds *unsafe_binds_new(Store *store, DeviceConns *conns)
{
    UnsafeBinds *u = calloc(1, sizeof(*u));
    if (!u)
        return NULL;
    *u = (UnsafeBinds) { .store = store, .named = map_new(free) };
    if (!u->named || device_conns_listen(conns, &listener, u) < 0)
        return unsafe_binds_free(u);
    return u;
}

UnsafeBinds *unsafe_binds_free(UnsafeBinds *u)
{
    if (u) {
        map_free(u->named);
        free(u);
    }
    return NULL;
}

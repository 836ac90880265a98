/* SPDX-License-Identifier: MIT */
/* One object for each box, as in the database: `host` and `recovery`, each with an array of lines. */
#include "gateway/devices/host-keys.h"

#include <errno.h>
#include <string.h>

#include "gateway/store/devices-table.h"
#include "lib/base/log.h"
#include "lib/base/map.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/data/ssh-cert.h"

struct HostKeys {
    Store *store;
    Map *boxes;   /* device → what the database has */
    Map *waiting; /* device → what was told since, and may be on its way there */
    unsigned saving;
};

static void delete_json(void *json)
{
    cJSON_Delete(json);
}

static const char *sshd_of(Role role)
{
    return role == ROLE_RECOVERY ? "recovery" : "host";
}

/* Without its comment; NULL for what is no key of a kind that all sshds have. */
static char *clean_line(const char *line)
{
    _cleanup_(ssh_public_key_done) SshPublicKey key = {};
    const char *end;

    if (!line || ssh_public_key_parse(line, &key, NULL) < 0)
        return NULL;
    end = strchr(line, ' ');
    return end ? strndup(line, (size_t) (end - line) + 1 + strcspn(end + 1, " \n")) : NULL;
}

/* A new array of those of `said` that can be used; empty when there is none. */
static cJSON *clean_keys(const cJSON *said)
{
    _cleanup_(cJSON_Deletep) cJSON *keys = cJSON_CreateArray();
    const cJSON *line;

    cJSON_ArrayForEach(line, said) {
        _cleanup_(freep) char *text = clean_line(cJSON_GetStringValue(line));

        if (text && cJSON_GetArraySize(keys) < HOST_KEYS_MAX && json_append(keys, cJSON_CreateString(text)) < 0)
            return NULL;
    }
    return TAKE_PTR(keys);
}

/* The box's object with these keys in it; 0 or -ENOMEM. */
static int put(Map *boxes, const char *device, const char *sshd, const cJSON *keys)
{
    const cJSON *known = map_get(boxes, device);
    _cleanup_(cJSON_Deletep) cJSON *next = known ? cJSON_Duplicate(known, true) : cJSON_CreateObject();

    if (!next)
        return -ENOMEM;
    cJSON_DeleteItemFromObjectCaseSensitive(next, sshd);
    int r = json_add_item(next, sshd, cJSON_Duplicate(keys, true));
    if (r >= 0)
        r = map_put(boxes, device, next);
    if (r >= 0)
        (void) TAKE_PTR(next);
    return r;
}

static const cJSON *get(const Map *boxes, const char *device, const char *sshd)
{
    return cJSON_GetObjectItemCaseSensitive(map_get(boxes, device), sshd);
}

/* Only what the database has counts: a restart must not bring other keys back. What it did not take is tried again. */
static void on_saved(StoreQuery *q _unused_, int r, const StoreRows *rows, const Error *err, void *userdata)
{
    HostKeys *h = userdata;

    h->saving--;
    if (r < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, err, r, "host keys of boxes are not kept yet");
    if (r < 0 || store_rows_count(rows) == 0)
        return;
    const char *device = store_rows_get(rows, 0, 0), *sshd = store_rows_get(rows, 0, 1);
    const cJSON *keys = get(h->waiting, device, sshd);
    if (keys && put(h->boxes, device, sshd, keys) < 0)
        log_debug("host keys of %s wait for the next time", device);
    if (store_rows_true(rows, 0, 2))
        log_warning("%s %s (%s)", device,
                    cJSON_GetArraySize(keys) > 0 ? "has other host keys for ssh than before"
                                                 : "does not tell its host keys for ssh any more",
                    sshd);
}

static void save(HostKeys *h, const char *device, const char *sshd, const cJSON *keys)
{
    _cleanup_(freep) char *text = json_print(keys);

    if (text && !store_is_busy(h->store) &&
        store_query(h->store, sql_device_host_keys(device, sshd, text), on_saved, h, NULL, NULL) >= 0)
        h->saving++;
}

static void take(HostKeys *h, const char *device, Role role, const cJSON *keys)
{
    const char *sshd = sshd_of(role);
    const cJSON *before = get(h->waiting, device, sshd);

    if (!before)
        before = get(h->boxes, device, sshd);
    /* a box that cannot tell any more takes back what it has told */
    if ((cJSON_GetArraySize(keys) == 0 && !before) || cJSON_Compare(keys, before, true))
        return;
    if (put(h->waiting, device, sshd, keys) == 0)
        save(h, device, sshd, keys);
}

void host_keys_sweep(HostKeys *h)
{
    const char *device;
    void *told;
    const cJSON *keys;
    const bool idle = h->saving == 0; /* what is on its way is not sent twice */

    for (size_t i = 0; idle && map_next(h->waiting, &i, &device, &told);) {
        bool kept = true;

        cJSON_ArrayForEach(keys, (cJSON *) told) {
            if (cJSON_Compare(keys, get(h->boxes, device, keys->string), true))
                continue;
            save(h, device, keys->string, keys);
            kept = false;
        }
        if (kept)
            map_remove(h->waiting, device);
    }
}

static void on_agent_status(DeviceConn *s, const cJSON *status, void *userdata)
{
    _cleanup_(cJSON_Deletep) cJSON *keys = clean_keys(cJSON_GetObjectItemCaseSensitive(status, "hostKeys"));

    if (keys)
        take(userdata, device_conn_device(s), ROLE_MGMT, keys);
}

static void on_recovery_status(DeviceConn *s, const cJSON *status, void *userdata)
{
    _cleanup_(cJSON_Deletep) cJSON *said = cJSON_CreateArray(), *keys = NULL;
    const char *line = json_string(status, "hostKey");

    if (device_conn_role(s) != ROLE_RECOVERY || !said || !line || json_append(said, cJSON_CreateString(line)) < 0)
        return;
    keys = clean_keys(said);
    if (keys)
        take(userdata, device_conn_device(s), ROLE_RECOVERY, keys);
}

static const DeviceMessage messages[] = {
    { "agent.status", true, on_agent_status },
    { "recovery.status", false, on_recovery_status },
    {},
};

static void on_removed(const char *device, void *userdata)
{
    HostKeys *h = userdata;

    map_remove(h->boxes, device);
    map_remove(h->waiting, device);
}

static const DeviceListener listener = { .messages = messages, .on_removed = on_removed };

HostKeys *host_keys_new(Store *store, DeviceConns *conns)
{
    HostKeys *h = calloc(1, sizeof(*h));

    if (!h)
        return NULL;
    *h = (HostKeys) { .store = store, .boxes = map_new(delete_json), .waiting = map_new(delete_json) };
    if (!h->boxes || !h->waiting || device_conns_listen(conns, &listener, h) < 0)
        return host_keys_free(h);
    return h;
}

HostKeys *host_keys_free(HostKeys *h)
{
    if (h) {
        map_free(h->boxes);
        map_free(h->waiting);
        free(h);
    }
    return NULL;
}

int host_keys_adopt(HostKeys *h, const char *device, const char *json)
{
    cJSON *keys = json ? cJSON_Parse(json) : NULL;

    if (!keys)
        return json ? -ENOMEM : 0;
    int r = map_put(h->boxes, device, keys);
    if (r < 0)
        cJSON_Delete(keys);
    return r;
}

const cJSON *host_keys_of(const HostKeys *h, const char *device, Role role)
{
    return get(h->boxes, device, sshd_of(role));
}

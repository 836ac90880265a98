/* SPDX-License-Identifier: MIT */
#include "gateway/devices/vouchers.h"

#include <errno.h>
#include <string.h>

#include "gateway/store/devices-table.h"
#include "lib/base/log.h"
#include "lib/base/map.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/tunnel/voucher.h"

struct Vouchers {
    Store *store;
    DeviceRegistry *registry;
    DeviceConns *conns;
    Map *waiting; /* device → what was said, JSON, and is not in the database yet */
    unsigned saving;
};

static const Role named_roles[] = { ROLE_DEVICE, ROLE_RECOVERY };

/* Only what the database has counts: a restart must not bring other keys back. */
static void take_row(Vouchers *v, const StoreRows *rows)
{
    const char *device = store_rows_get(rows, 0, 0);
    int r = 0;

    for (unsigned i = 0; i < ELEMENTSOF(named_roles); i++) {
        r = r < 0 ? r
                  : device_registry_put_vouched(v->registry, device, named_roles[i], store_rows_get(rows, 0, 1 + i));
        if (!store_rows_true(rows, 0, 3 + i))
            continue;
        log_warning("the management key of %s names another key for the role %s than had claimed it, which ends",
                    device, role_name(named_roles[i]));
        device_registry_remove_key(v->registry, device, named_roles[i]);
        device_conns_replace_key(v->conns, device, named_roles[i]);
    }
    if (r < 0)
        log_warning("no memory for the keys that %s has named: it has to connect again", device);
    device_registry_set_vouches(v->registry, device, true);
    map_remove(v->waiting, device);
}

static void on_saved(StoreQuery *q _unused_, int r, const StoreRows *rows, const Error *err, void *userdata)
{
    Vouchers *v = userdata;

    v->saving--;
    if (r < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, err, r, "keys that boxes have named are not kept yet");
    else if (store_rows_count(rows) > 0)
        take_row(v, rows);
}

static void save(Vouchers *v, const char *device, const char *keys)
{
    if (!store_is_busy(v->store) && store_query(v->store, sql_device_vouch(device, keys), on_saved, v, NULL, NULL) >= 0)
        v->saving++;
}

void vouchers_sweep(Vouchers *v)
{
    const bool idle = v->saving == 0; /* what is on its way is not sent twice */
    const char *device;
    void *keys;

    for (size_t i = 0; idle && map_next(v->waiting, &i, &device, &keys);)
        save(v, device, keys);
}

/* *ret_by: the thumbprint of the key that has signed it, a new string. */
static int check(const Vouchers *v, const DeviceConn *s, const cJSON *m, char **ret_by, Error *err)
{
    _cleanup_(freep) char *nonce = device_conn_nonce(s);
    _cleanup_(freep) char *jwk = json_print(cJSON_GetObjectItemCaseSensitive(m, "key"));
    _cleanup_(key_freep) Key *key = NULL;
    _cleanup_(freep) char *thumbprint = NULL;
    const Voucher voucher = { .nonce = nonce,
                              .device = device_conn_device(s),
                              .device_key = json_string(m, "device"),
                              .recovery_key = json_string(m, "recovery") };

    if (!nonce || !jwk)
        return error_set(err, EKEYREJECTED, "vouch.malformed", "keys.vouch names no key by which it is signed");
    int r = key_from_jwk(jwk, strlen(jwk), &key, err);
    if (r < 0)
        return r;
    thumbprint = key_thumbprint(key);
    r = thumbprint ? device_registry_check(v->registry, voucher.device, ROLE_MGMT, thumbprint, err) : -ENOMEM;
    if (r < 0)
        return r;
    if (voucher_check(key, &voucher, json_string(m, "signature")) < 0)
        return error_set(err, EKEYREJECTED, "vouch.signature",
                         "keys.vouch is not signed by the box's management key for this connection");
    *ret_by = TAKE_PTR(thumbprint);
    return 0;
}

static bool is_known(const Vouchers *v, const char *device, const cJSON *m)
{
    bool known = device_registry_vouches(v->registry, device);

    for (size_t i = 0; i < ELEMENTSOF(named_roles); i++) {
        const char *said = json_string(m, role_name(named_roles[i]));

        known = known && (!said || device_registry_is_vouched(v->registry, device, named_roles[i], said));
    }
    return known;
}

/* With the key by which they are named: the box may have another one by the time that this is written. */
static char *keys_of(const cJSON *m, const char *by)
{
    _cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();

    if (!o || json_add_string(o, role_name(ROLE_MGMT), by) < 0)
        return NULL;
    for (size_t i = 0; i < ELEMENTSOF(named_roles); i++) {
        const char *role = role_name(named_roles[i]);

        if (json_add_string(o, role, json_string(m, role)) < 0)
            return NULL;
    }
    return json_print(o);
}

static void on_vouch(DeviceConn *s, const cJSON *m, void *userdata)
{
    Vouchers *v = userdata;
    const char *device = device_conn_device(s);
    _cleanup_(error_done) Error err = {};
    _cleanup_(freep) char *by = NULL;
    int r;

    /* each connection says it once more: what changes nothing needs no proof */
    if (is_known(v, device, m))
        return;
    r = check(v, s, m, &by, &err);
    if (r < 0) {
        log_failure(LOG_LEVEL_WARNING, NULL, &err, r, "what %s says of its keys is ignored", device);
        return;
    }
    char *keys = keys_of(m, by);
    if (!keys || map_put(v->waiting, device, keys) < 0) {
        free(keys);
        return;
    }
    save(v, device, keys);
}

static void on_removed(const char *device, void *userdata)
{
    map_remove(((Vouchers *) userdata)->waiting, device);
}

/* What its former management key has said counts no more. */
static void on_key_replaced(const char *device, Role role, void *userdata)
{
    if (role == ROLE_MGMT)
        on_removed(device, userdata);
}

static const DeviceMessage messages[] = { { "keys.vouch", true, on_vouch }, {} };
static const DeviceListener listener = { .messages = messages,
                                         .on_removed = on_removed,
                                         .on_key_replaced = on_key_replaced };

Vouchers *vouchers_new(Store *store, DeviceRegistry *registry, DeviceConns *conns)
{
    Vouchers *v = calloc(1, sizeof(*v));

    if (!v)
        return NULL;
    *v = (Vouchers) { .store = store, .registry = registry, .conns = conns, .waiting = map_new(free) };
    return v->waiting && device_conns_listen(conns, &listener, v) >= 0 ? v : vouchers_free(v);
}

Vouchers *vouchers_free(Vouchers *v)
{
    if (v) {
        map_free(v->waiting);
        free(v);
    }
    return NULL;
}

int vouchers_adopt(DeviceRegistry *registry, const char *device, const char *json)
{
    _cleanup_(cJSON_Deletep) cJSON *keys = json ? cJSON_Parse(json) : NULL;
    int r = 0;

    if (json && !keys)
        return -ENOMEM;
    for (size_t i = 0; r >= 0 && i < ELEMENTSOF(named_roles); i++)
        r = device_registry_put_vouched(registry, device, named_roles[i], json_string(keys, role_name(named_roles[i])));
    device_registry_set_vouches(registry, device, keys != NULL);
    return r;
}

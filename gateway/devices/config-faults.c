/* SPDX-License-Identifier: MIT */
/* A fault is known by its program and by when it began, as the box says it. */
#include "gateway/devices/config-faults.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "gateway/auth/audit.h"
#include "lib/base/map.h"
#include "lib/base/strv.h"
#include "lib/data/config-fault.h"
#include "lib/data/json.h"

#define FAULTS_MAX 8

struct ConfigFaults {
    Store *store;
    Map *boxes; /* device → the array, as text: what was told of */
    Map *news;  /* what waits for the database, by its number; owned */
    uint64_t numbers;
};

/* The entries about one status, on their way into the database. */
typedef struct News {
    ConfigFaults *owner;
    char key[24];
    char *device, *text;
    unsigned waiting;
    bool lost; /* not all of them were written */
} News;

static void news_free(void *news)
{
    News *n = news;
    free(n->device);
    free(n->text);
    free(n);
}

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

/* `text` is what the box has said. */
static void keep(ConfigFaults *c, const char *device, char *text)
{
    if (str_equal(text, "[]"))
        map_remove(c->boxes, device);
    else if (map_put(c->boxes, device, text) >= 0)
        return;
    free(text);
}

/* What was not told is told with the next status. */
static void on_told(StoreQuery *q _unused_, int r, const StoreRows *rows, const Error *err, void *userdata)
{
    News *n = userdata;
    audit_written_once(r, rows, err);
    n->lost |= r < 0;
    if (--n->waiting > 0)
        return;
    if (!n->lost)
        keep(n->owner, n->device, TAKE_PTR(n->text));
    map_remove(n->owner->news, n->key);
}

static int tell(News *n, const cJSON *fault, bool over)
{
    static const char *const same[] = { "program", "since", NULL };
    _cleanup_(freep) char *actor = str_format("device:%s", n->device);
    cJSON *detail = actor ? cJSON_Duplicate(fault, true) : NULL;
    const AuditEntry entry = {
        .actor = actor,
        .action = over ? "config.well" : "config.fault",
        .device = n->device,
        .alarm = !over && !str_equal(json_string(cJSON_GetObjectItemCaseSensitive(fault, "error"), "id"), CONFIG_WAITS),
        .detail = detail,
    };

    int r = detail ? audit_write_once(n->owner->store, &entry, same, on_told, n) : -ENOMEM;
    n->waiting += r >= 0;
    return r;
}

/* Those of `these` that `others` lack. */
static int tell_each(News *n, const cJSON *these, const cJSON *others, bool over)
{
    const cJSON *fault;
    int r = 0;

    cJSON_ArrayForEach(fault, these)
        if (r >= 0 && !config_faults_hold(others, fault))
            r = tell(n, fault, over);
    return r;
}

static News *news_new(ConfigFaults *c, const char *device, const cJSON *now)
{
    News *n = calloc(1, sizeof(*n));
    if (!n)
        return NULL;
    n->owner = c;
    (void) snprintf(n->key, sizeof(n->key), "%llx", (unsigned long long) c->numbers++);
    n->device = strdup(device);
    n->text = json_print(now);
    if (!n->device || !n->text || map_put(c->news, n->key, n) < 0) {
        news_free(n);
        return NULL;
    }
    return n;
}

static void on_status(DeviceConn *s, const cJSON *status, void *userdata)
{
    ConfigFaults *c = userdata;
    const char *device = device_conn_device(s);
    _cleanup_(cJSON_Deletep) cJSON *now = config_faults_kept(cJSON_GetObjectItemCaseSensitive(status, "configFaults"));
    _cleanup_(cJSON_Deletep) cJSON *before = faults_before(c, device);
    News *n = now && before ? news_new(c, device, now) : NULL;

    if (!n)
        return;
    n->lost = tell_each(n, now, before, false) < 0 || tell_each(n, before, now, true) < 0;
    if (n->waiting > 0)
        return;
    if (!n->lost)
        keep(c, device, TAKE_PTR(n->text));
    map_remove(c->news, n->key);
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
    ConfigFaults *c = userdata;
    void *value;

    map_remove(c->boxes, device);
    for (size_t i = 0; map_next(c->news, &i, NULL, &value);)
        if (str_equal(((News *) value)->device, device))
            ((News *) value)->lost = true;
}

static const DeviceListener listener = { .messages = messages, .on_removed = on_removed, .describe = describe };

ConfigFaults *config_faults_new(Store *store, DeviceConns *conns)
{
    ConfigFaults *c = calloc(1, sizeof(*c));
    if (!c)
        return NULL;
    *c = (ConfigFaults) { .store = store, .boxes = map_new(free), .news = map_new(news_free) };
    if (!c->boxes || !c->news || device_conns_listen(conns, &listener, c) < 0)
        return config_faults_free(c);
    return c;
}

ConfigFaults *config_faults_free(ConfigFaults *c)
{
    if (c) {
        map_free(c->boxes);
        map_free(c->news);
        free(c);
    }
    return NULL;
}

void config_faults_raise(Store *store, const char *program, const Error *err, int r)
{
    cJSON *detail = cJSON_CreateObject();
    if (detail && (json_add_string(detail, "program", program) < 0 ||
                   json_add_item(detail, "error", json_from_error(err, r)) < 0))
        detail = (cJSON_Delete(detail), NULL);
    audit_write(store, &(AuditEntry) { .actor = "gateway", .action = "config.fault", .alarm = true, .detail = detail });
}

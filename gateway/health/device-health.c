/* SPDX-License-Identifier: MIT */
#include "gateway/health/device-health.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/health/health-summary.h"
#include "gateway/store/health-table.h"
#include "lib/base/log.h"
#include "lib/base/map.h"
#include "lib/base/strv.h"
#include "lib/data/json-merge.h"
#include "lib/tunnel/message.h"

/* A box may add members as long as it likes: of what they add up to, only this much is kept. */
#define VALUES_SIZE_MAX (64 * 1024)
#define VALUES_MAX 1000
#define FAULTS_MAX 64
#define RELAY_URL_MAX 512
/* What boxes tell within a minute of the end of five minutes must not be saved all at that time; the minute that is left out gives
 * the last of them time to report within the five minutes. */
#define SPREAD_SECONDS (HEALTH_SLOT_SECONDS - 60)
/* Other faults are saved at once, but a box may find others all the time. */
#define NEWS_USEC (10 * USEC_PER_SEC)

struct DeviceHealth {
    Store *store;
    Map *parts; /* "PART DEVICE" → HealthPart; owned */
};

static void part_free(void *part)
{
    HealthPart *p = part;

    free(p->device);
    free(p->at);
    free(p->values);
    free(p->relay_url);
    free(p);
}

/* recovery-agent says nothing of the kind. */
static const char *part_of(Role role)
{
    return role == ROLE_MGMT ? "box" : role == ROLE_DEVICE ? "secbox" : NULL;
}

uint64_t health_slot(const char *device, usec_t at)
{
    uint64_t hash = 0;

    for (const char *c = device; *c; c++)
        hash = hash * 31 + (unsigned char) *c;
    return (at / USEC_PER_SEC - hash % SPREAD_SECONDS) / HEALTH_SLOT_SECONDS;
}

static HealthPart *find(const DeviceHealth *h, const char *device, const char *part)
{
    _cleanup_(freep) char *key = str_format("%s %s", part, device);

    return key ? map_get(h->parts, key) : NULL;
}

const HealthPart *device_health_find(const DeviceHealth *h, const char *device, const char *part)
{
    const HealthPart *p = find(h, device, part);

    return p && p->values ? p : NULL;
}

static void forget(DeviceHealth *h, const char *device, const char *part)
{
    _cleanup_(freep) char *key = str_format("%s %s", part, device);

    if (key)
        map_remove(h->parts, key);
}

static HealthPart *make_part(DeviceHealth *h, const char *device, const char *part)
{
    _cleanup_(freep) char *key = str_format("%s %s", part, device);
    HealthPart *p = key ? calloc(1, sizeof(*p)) : NULL;

    if (!p)
        return NULL;
    *p = (HealthPart) { .device = strdup(device), .part = part };
    if (!p->device || map_put(h->parts, key, p) < 0) {
        part_free(p);
        return NULL;
    }
    return p;
}

static void answer(DeviceConn *s, uint64_t seq)
{
    _cleanup_(cJSON_Deletep) cJSON *m = message_new("health.ack");

    if (m && json_add_u64(m, "seq", seq) == 0 && device_conn_send(s, m) < 0)
        log_debug("health of %s is not acknowledged", device_conn_device(s));
}

/* The values of this report, or NULL: its base is not here, or they are too many. *before is what they were; both are the
 * caller's. */
static cJSON *merge(const HealthPart *p, const DeviceConn *s, const cJSON *message, cJSON **before)
{
    const cJSON *changes = cJSON_GetObjectItemCaseSensitive(message, "values");
    bool has_base = cJSON_GetObjectItemCaseSensitive(message, "base") != NULL;
    _cleanup_(cJSON_Deletep) cJSON *values = NULL;
    uint64_t base = 0;

    if (json_count(changes) > VALUES_MAX)
        return NULL;
    if (p->values && json_parse_object(p->values, strlen(p->values), before, NULL) < 0)
        return NULL;
    if (has_base && (json_u64(message, "base", &base) < 0 || !*before || p->is_cut || base != p->seq ||
                     p->connection != device_conn_number(s)))
        return NULL;
    values = has_base ? cJSON_Duplicate(*before, true) : cJSON_CreateObject();
    if (!values || json_merge_apply(values, changes) < 0 || json_count(values) > VALUES_MAX)
        return NULL;
    return TAKE_PTR(values);
}

static void take_time(HealthPart *p, const char *at)
{
    usec_t there = 0;

    p->received_at = realtime_usec();
    free(TAKE_PTR(p->at));
    if (timestamp_parse(at, &there) < 0)
        return;
    p->at = strdup(at);
    p->clock_offset = ((double) there - (double) p->received_at) / (double) USEC_PER_SEC;
}

static void save(const DeviceHealth *h, HealthPart *p, const cJSON *values, uint64_t slot)
{
    _cleanup_(cJSON_Deletep) cJSON *summary = health_summary(values);
    _cleanup_(freep) char *text = summary ? json_print(summary) : NULL;
    const HealthRow row = { p->device, p->part, p->at, p->values, text };
    _cleanup_(error_done) Error err = {};

    /* what is not kept now is with the next report */
    if (!text || store_is_busy(h->store))
        return;
    if (store_query(h->store, sql_health_save(&row), NULL, NULL, NULL, &err) < 0)
        log_debug("health of %s is not kept: %s", p->device, error_message(&err, -EIO));
    else {
        if (slot == p->saved_slot)
            p->news_due_at = boottime_usec() + NEWS_USEC;
        p->saved_slot = slot;
        p->has_news = false;
    }
}

static cJSON *faults_of(const cJSON *values)
{
    return cJSON_GetObjectItemCaseSensitive(values, "faults");
}

/* Whether there are other faults; what their sentences say changes all the time. */
static bool has_news(const cJSON *before, const cJSON *after)
{
    const cJSON *fault;

    if (cJSON_GetArraySize(faults_of(before)) != cJSON_GetArraySize(faults_of(after)))
        return true;
    cJSON_ArrayForEach(fault, faults_of(after))
        if (!fault->string || !cJSON_GetObjectItemCaseSensitive(faults_of(before), fault->string))
            return true;
    return false;
}

/* Whether there were more than are kept. */
static bool cut_faults(cJSON *values)
{
    cJSON *faults = faults_of(values);
    bool are_many = cJSON_GetArraySize(faults) > FAULTS_MAX;

    while (cJSON_GetArraySize(faults) > FAULTS_MAX)
        cJSON_DeleteItemFromArray(faults, FAULTS_MAX);
    return are_many;
}

/* Where there is no memory for it nobody asks there. */
static void take_relay(HealthPart *p, const cJSON *values)
{
    const cJSON *relay = cJSON_GetObjectItemCaseSensitive(values, "relay");
    const char *url = str_equal(json_string(relay, "state"), "connected") ? json_string(relay, "publicUrl") : NULL;

    if (url && str_equal(url, p->relay_url))
        return;
    free(p->relay_url);
    p->relay_url = url && strlen(url) <= RELAY_URL_MAX ? strdup(url) : NULL;
}

/* False: there is no room for such values, and those before stay. */
static bool keep(HealthPart *p, const DeviceConn *s, cJSON *values, uint64_t seq, const char *at)
{
    bool is_cut = cut_faults(values);
    char *text = json_print(values);

    if (!text || strlen(text) > VALUES_SIZE_MAX) {
        free(text);
        return false;
    }
    free(p->values);
    p->values = text;
    p->is_cut = is_cut;
    p->seq = seq;
    p->connection = device_conn_number(s);
    p->faults = (unsigned) cJSON_GetArraySize(faults_of(values));
    health_measure(values, p->numbers);
    take_relay(p, values);
    take_time(p, at);
    return true;
}

static void on_report(DeviceConn *s, const cJSON *message, void *userdata)
{
    DeviceHealth *h = userdata;
    const char *device = device_conn_device(s), *part = part_of(device_conn_role(s));
    HealthPart *p = part ? find(h, device, part) : NULL;
    _cleanup_(cJSON_Deletep) cJSON *values = NULL, *before = NULL;
    uint64_t seq = 0, slot;

    if (!part || json_u64(message, "seq", &seq) < 0 || (!p && !(p = make_part(h, device, part))))
        return;
    values = merge(p, s, message, &before);
    if (!values || !keep(p, s, values, seq, json_string(message, "at"))) {
        answer(s, 0);
        return;
    }
    answer(s, seq);
    slot = health_slot(device, p->received_at);
    p->has_news = p->has_news || has_news(before, values);
    if (slot != p->saved_slot || (p->has_news && boottime_usec() >= p->news_due_at))
        save(h, p, values, slot);
}

static void on_removed(const char *device, void *userdata)
{
    forget(userdata, device, "box");
    forget(userdata, device, "secbox");
}

DeviceHealth *device_health_new(Store *store, DeviceConns *conns)
{
    static const DeviceMessage messages[] = { { "health.report", false, on_report }, {} };
    static const DeviceListener listener = { .messages = messages, .on_removed = on_removed };
    DeviceHealth *h = calloc(1, sizeof(*h));

    if (!h)
        return NULL;
    *h = (DeviceHealth) { .store = store, .parts = map_new(part_free) };
    if (!h->parts || device_conns_listen(conns, &listener, h) < 0)
        return device_health_free(h);
    return h;
}

DeviceHealth *device_health_free(DeviceHealth *h)
{
    if (!h)
        return NULL;
    map_free(h->parts);
    free(h);
    return NULL;
}

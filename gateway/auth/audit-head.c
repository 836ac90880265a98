/* SPDX-License-Identifier: MIT */
/* See audit-head.h. Many boxes know the same few heads: each is looked for in the database once. */
#include "gateway/auth/audit-head.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/auth/audit.h"
#include "gateway/store/audit-table.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/map.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/tunnel/audit-mark.h"

#define LOOK_INTERVAL (10 * USEC_PER_MINUTE)
#define ALARM_INTERVAL USEC_PER_HOUR
/* heads that are known to be in the log; then it begins anew */
#define KNOWN_MAX 4096

/* A head that is looked for. */
typedef struct Look {
    AuditHead *owner;
    StoreQuery *query;
    char *device, *told;
} Look;

struct AuditHead {
    Store *store;
    StoreQuery *query;
    char *head;
    usec_t looked, alarmed; /* CLOCK_BOOTTIME; 0: never */
    Map *known;             /* heads that the log has, as a set */
    Map *looks;             /* head → Look, owned */
};

AuditHead *audit_head_new(Store *store)
{
    AuditHead *h = calloc(1, sizeof(*h));

    if (!h)
        return NULL;
    *h = (AuditHead) { .store = store, .known = map_new(NULL), .looks = map_new(NULL) };
    return h->known && h->looks ? h : audit_head_free(h);
}

static void look_free(Look *l)
{
    store_query_free(l->query);
    free(l->device);
    free(l->told);
    free(l);
}

AuditHead *audit_head_free(AuditHead *h)
{
    void *value;

    if (!h)
        return NULL;
    store_query_free(h->query);
    for (size_t i = 0; h->looks && map_next(h->looks, &i, NULL, &value);)
        look_free(value);
    map_free(h->looks);
    map_free(h->known);
    free(h->head);
    free(h);
    return NULL;
}

static void on_head(StoreQuery *q _unused_, int r, const StoreRows *rows, const Error *err, void *userdata)
{
    AuditHead *h = userdata;

    h->query = NULL;
    if (r < 0) {
        h->looked = 0;
        log_failure(LOG_LEVEL_WARNING, NULL, err, r, "how far the audit log is, is asked again");
        return;
    }
    const char *head = store_rows_get(rows, 0, 0);
    char *copy = head && !str_equal(head, h->head) ? strdup(head) : NULL;
    if (!copy)
        return;
    free(h->head);
    h->head = copy;
    log_notice("the audit log is at %s", h->head);
}

void audit_head_sweep(AuditHead *h)
{
    usec_t now = boottime_usec();

    if (h->query || (h->head && h->looked > 0 && now - h->looked < LOOK_INTERVAL) || store_is_busy(h->store))
        return;
    if (store_query(h->store, sql_audit_head(), on_head, h, &h->query, NULL) >= 0)
        h->looked = now;
}

const char *audit_head_get(const AuditHead *h)
{
    return h ? h->head : NULL;
}

static void alarm_rewritten(AuditHead *h, const Look *l)
{
    usec_t now = boottime_usec();

    if (h->alarmed > 0 && now - h->alarmed < ALARM_INTERVAL)
        return;
    h->alarmed = now;
    cJSON *detail = cJSON_CreateObject();
    if (!detail || json_add_string(detail, "head", l->told) < 0 ||
        json_add_string(
            detail, "message",
            "the audit log was at this point when this box was told so, and is not what it was then: somebody "
            "has changed it, or the database was put back to an older state; look with "
            "`secbox-gateway audit verify` and at what the journals of gateway and boxes say") < 0) {
        cJSON_Delete(detail);
        detail = NULL;
    }
    audit_write(
        h->store,
        &(AuditEntry) {
            .actor = "gateway", .action = "audit.rewritten", .device = l->device, .alarm = true, .detail = detail });
}

static void on_looked(StoreQuery *q _unused_, int r, const StoreRows *rows, const Error *err _unused_, void *userdata)
{
    Look *l = userdata;
    AuditHead *h = l->owner;

    l->query = NULL;
    map_take(h->looks, l->told);
    if (r >= 0 && !store_rows_true(rows, 0, 0)) {
        alarm_rewritten(h, l);
    } else if (r >= 0) {
        if (map_size(h->known) >= KNOWN_MAX) {
            map_free(h->known);
            h->known = map_new(NULL);
        }
        if (h->known && map_put(h->known, l->told, h) < 0)
            log_debug("%s is looked for again", l->told);
    } /* else the box says it again when it comes again */
    look_free(l);
}

void audit_head_compare(AuditHead *h, const char *device, const char *told)
{
    uint64_t number = 0;

    if (!h || !h->known || !audit_head_is_good(told) || map_get(h->known, told) || map_get(h->looks, told) ||
        store_is_busy(h->store))
        return;
    Look *l = calloc(1, sizeof(*l));
    if (!l)
        return;
    *l = (Look) { .owner = h, .device = strdup(device), .told = strdup(told) };
    _cleanup_(freep) char *digits = strndup(told, strcspn(told, ":"));
    if (!l->device || !l->told || !digits || str_to_u64(digits, 1, INT64_MAX, &number) < 0 ||
        map_put(h->looks, l->told, l) < 0) {
        look_free(l);
        return;
    }
    if (store_query(h->store, sql_audit_has_link(number, strchr(told, ':') + 1), on_looked, l, &l->query, NULL) < 0) {
        map_take(h->looks, l->told);
        look_free(l);
    }
}

/* SPDX-License-Identifier: MIT */
#include "gateway/health/api-health.h"

#include <errno.h>
#include <string.h>

#include "gateway/store/health-table.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"

#define SINCE_SECONDS_MAX (30 * 86400)

static const char *const parts[] = { "box", "secbox" };

static const Role part_roles[] = { ROLE_MGMT, ROLE_DEVICE };

/* What the tunnel has told is newer than what is kept. */
static int add_news(cJSON *health, const HealthPart *p)
{
    _cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
    cJSON *values = NULL;
    char text[TIMESTAMP_SIZE];

    if (!o || json_parse_object(p->values, strlen(p->values), &values, NULL) < 0 ||
        json_add_item(o, "values", values) < 0 || json_add_string(o, "at", p->at) < 0 ||
        json_add_string(o, "receivedAt", timestamp_format(p->received_at, text)) < 0 ||
        (p->at && !cJSON_AddNumberToObject(o, "clockOffsetSeconds", (double) (long long) p->clock_offset)))
        return -ENOMEM;
    cJSON_DeleteItemFromObjectCaseSensitive(health, p->part);
    return json_add_item(health, p->part, TAKE_PTR(o));
}

static int complete(const HealthApi *api, const char *device, cJSON *health)
{
    int r = health ? 0 : -ENOMEM;

    for (size_t i = 0; r == 0 && i < ELEMENTSOF(parts); i++) {
        const HealthPart *p = device_health_find(api->health, device, parts[i]);
        cJSON *o;

        if (p)
            r = add_news(health, p);
        o = cJSON_GetObjectItemCaseSensitive(health, parts[i]);
        if (r == 0 && o)
            r = json_add_bool(o, "connected", device_conn_find(api->conns, device, part_roles[i]) != NULL);
    }
    return r;
}

static void on_rows(Request *c, const StoreRows *rows)
{
    _cleanup_(error_done) Error err = {};
    cJSON *body = NULL;
    int r;

    if (store_rows_count(rows) == 0) {
        r = error_set(&err, ENOENT, "device.not-found", "there is no device \"%s\" here", c->args[0]);
        request_fail(c, r, &err);
        return;
    }
    r = json_parse_object(store_rows_get(rows, 0, 0), strlen(store_rows_get(rows, 0, 0)), &body, NULL);
    if (r == 0)
        r = complete(c->module, c->args[0], cJSON_GetObjectItemCaseSensitive(body, "health"));
    if (r == 0) {
        request_answer(c, 200, body);
        return;
    }
    cJSON_Delete(body);
    request_fail(c, r, NULL);
}

static void get_health(Request *c)
{
    uint64_t since;

    if (request_query_u64(c, "since", SINCE_SECONDS_MAX, 0, &since) >= 0)
        request_query(c, sql_health(c->args[0], since), on_rows);
}

const Route health_routes[] = {
    { "GET", "/v1/devices/*/health", ACCESS_VIEWER, get_health, "how a box says that it is" },
    {},
};

/* SPDX-License-Identifier: MIT */
/* GET /api/lan/status, /events. */
#include <stdlib.h>

#include "lib/data/json.h"
#include "secbox/lan/lan-impl.h"
#include "secbox/replica/gate-sql.h"

static int add_data(const Lan *lan, cJSON *body)
{
    const GateCommunity *c = gate_data_community(lan->data);
    char text[TIMESTAMP_SIZE];
    int r = json_add_string(body, "now", timestamp_format(realtime_usec(), text));

    if (r >= 0)
        r = json_add_bool(body, "database", gate_data_has_database(lan->data));
    if (r >= 0)
        r = json_add_string(body, "community", c->name);
    if (r >= 0)
        r = json_add_string(body, "timeZone", c->time_zone);
    if (r >= 0)
        r = json_add_string(body, "version", c->version);
    if (r >= 0 && c->applied_at > 0)
        r = json_add_string(body, "dataSince", c->applied_text);
    return r;
}

/* What a tablet needs to check passes while the box is away. */
static int add_pass_key(const Lan *lan, cJSON *body)
{
    const GateCommunity *c = gate_data_community(lan->data);
    int r = json_add_string(body, "communityId", c->id);

    return r < 0 || !c->pass_jwk ? r : json_add_item(body, "passKey", cJSON_Parse(c->pass_jwk));
}

static void body_free(void *body)
{
    cJSON_Delete(body);
}

static void on_queued(LanRequest *q, const StoreRows *rows)
{
    cJSON *body = q->scratch;
    uint64_t queued = 0;

    q->scratch_free = NULL;
    if (store_rows_u64(rows, 0, 0, INT32_MAX, &queued) >= 0 && json_add_int(body, "queued", (int) queued) >= 0) {
        lan_answer(q, 200, body);
        return;
    }
    cJSON_Delete(body);
    lan_answer(q, 500, NULL);
}

/* Before the login it tells what a stranger on the WiFi may know: that this is a box, and whether it works. */
static void status(LanRequest *q)
{
    _cleanup_(freep) char *fingerprint = NULL;
    cJSON *body = cJSON_CreateObject();
    int r = body ? add_data(q->lan, body) : -1;

    if (r >= 0 && lan_authority_fingerprint(&q->lan->authority, &fingerprint, NULL) >= 0)
        r = json_add_string(body, "authority", fingerprint);
    if (r >= 0 && q->guard)
        r = add_pass_key(q->lan, body);
    if (r >= 0 && q->guard)
        r = json_add_bool(body, "cameras", q->lan->cameras);
    if (r >= 0 && q->guard)
        r = q->lan->add_status(body, q->lan->userdata);
    if (r < 0) {
        cJSON_Delete(body);
        lan_answer(q, 500, NULL);
    } else if (q->guard && gate_data_has_database(q->lan->data)) {
        q->scratch = body;
        q->scratch_free = body_free;
        lan_query(q, sql_gate_queued(), on_queued);
    } else {
        lan_answer(q, 200, body);
    }
}

static void events(LanRequest *q)
{
    if (lan_events_watch(q->lan->events, q->exchange) < 0)
        lan_refuse(q, 400, "lan.bad-request", "send nothing behind the request");
    else
        lan_request_free(q);
}

const LanRoute lan_status_routes[] = {
    { "GET", "/api/lan/status", LAN_OPEN, status },
    { "GET", "/api/lan/events", LAN_GUARDS, events },
    {},
};

/* SPDX-License-Identifier: MIT */
/* GET /api/lan/sightings, /sightings/picture: banned and expected plates and faces that cameras have seen lately. */
#include <stdlib.h>

#include "lib/data/json.h"
#include "secbox/lan/lan-impl.h"

static void sightings_get(LanRequest *q)
{
    cJSON *body = cJSON_CreateObject();

    if (json_add_item(body, "sightings", notices_describe(sightings_notices(q->lan->sightings), boottime_usec())) < 0) {
        cJSON_Delete(body);
        body = NULL;
    }
    lan_answer(q, 200, body);
}

static void picture_get(LanRequest *q)
{
    _cleanup_(freep) char *id = http_query(q->exchange, "id");
    const Picture *p = id ? notices_picture(sightings_notices(q->lan->sightings), id) : NULL;

    if (!p) {
        lan_refuse(q, 404, "lan.no-picture", "there is no picture of this, or none yet");
        return;
    }
    lan_reply_raw(q->exchange, 200, "image/jpeg", (const char *) p->data, p->len, NULL);
    lan_request_free(q);
}

const LanRoute lan_sighting_routes[] = {
    { "GET", "/api/lan/sightings", LAN_GUARDS, sightings_get },
    { "GET", "/api/lan/sightings/picture", LAN_GUARDS, picture_get },
    {},
};

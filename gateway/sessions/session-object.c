/* SPDX-License-Identifier: MIT */
/* See session-object.h. */
#include "gateway/sessions/session-object.h"

#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/tunnel/message.h"

void support_session_free(SupportSession *v)
{
    if (map_get(v->owner->map, v->id) == v)
        map_take(v->owner->map, v->id);
    if (v->theirs)
        mux_stream_reset(v->theirs, "gateway.restart");
    if (v->box)
        mux_stream_reset(v->box, "gateway.restart");
    store_query_free(v->query);
    sd_event_source_disable_unref(v->timer);
    flow_done(&v->to_box);
    flow_done(&v->from_box);
    buf_done(&v->story);
    buf_done(&v->greeting);
    grant_done(&v->grant);
    free(v->name);
    free(v->person);
    free(v->device);
    free(v->grant_id);
    free(v->token);
    free(v->certificate);
    free(v->end_reason);
    free(v);
}

void support_session_say(SupportSession *v, const char *state, const char *error, const char *sentence)
{
    _cleanup_(cJSON_Deletep) cJSON *m = message_new("bridge.progress");
    const AccessRoute *route = v->route < v->n_routes ? &v->routes[v->route] : NULL;
    const char *way = route ? route->name : NULL;
    if (!v->operator)
        return;
    /* ssh is about to ask whose key that is */
    const cJSON *keys =
        route && str_equal(state, "open") ? host_keys_of(v->owner->host_keys, v->device, route->role) : NULL;
    if (keys && json_add_item(m, "hostKeys", cJSON_Duplicate(keys, true)) < 0)
        return;
    if (m && json_add_string(m, "session", v->id) >= 0 && json_add_string(m, "id", v->name) >= 0 &&
        json_add_string(m, "way", way) >= 0 && json_add_string(m, "state", state) >= 0 &&
        json_add_string(m, "error", error) >= 0 && json_add_string(m, "message", sentence) >= 0)
        operator_send(v->operator, m);
}

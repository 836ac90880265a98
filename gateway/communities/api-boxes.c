/* SPDX-License-Identifier: MIT */
#include "gateway/communities/api-boxes.h"

#include <errno.h>
#include <string.h>

#include "gateway/communities/api-communities.h"
#include "gateway/store/sync-table.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"

/* The document, with what only memory knows. */
static void answer_with_connections(Request *c, const char *text)
{
    const BoxApi *api = c->module;
    _cleanup_(cJSON_Deletep) cJSON *body = NULL;
    cJSON *box;
    int r = json_parse_object(text, strlen(text), &body, NULL);
    cJSON_ArrayForEach(box, cJSON_GetObjectItemCaseSensitive(body, "boxes")) {
        const char *device = json_string(box, "device");
        if (r >= 0 && device)
            r = json_add_bool(box, "connected", community_sync_has_box(api->sync, device));
    }
    if (r < 0)
        request_fail(c, r, NULL);
    else
        request_answer(c, 200, TAKE_PTR(body));
}

static void on_boxes(Request *c, const StoreRows *rows)
{
    if (store_rows_count(rows) > 0)
        answer_with_connections(c, store_rows_get(rows, 0, 0));
    else
        request_fail_no_community(c);
}

static void boxes(Request *c)
{
    char community[UUID_SIZE];
    if (request_uuid(c, 0, community) >= 0)
        request_query(c, sql_community_boxes(community), on_boxes);
}

static void on_ban(Request *c, const StoreRows *rows)
{
    Error err = {};
    if (store_rows_count(rows) > 0) {
        answer_with_connections(c, store_rows_get(rows, 0, 0));
        return;
    }
    request_fail(
        c, error_set(&err, ENOENT, "row.not-found", "there has never been a ban %s in this community", c->args[1]),
        &err);
    error_done(&err);
}

static void ban_status(Request *c)
{
    char community[UUID_SIZE], ban[UUID_SIZE];
    if (request_uuid(c, 0, community) >= 0 && request_uuid(c, 1, ban) >= 0)
        request_query(c, sql_ban_status(community, ban), on_ban);
}

const Route box_routes[] = {
    { "GET", "/v1/communities/*/boxes", ACCESS_VIEWER, boxes, "its boxes, and which version they have" },
    { "GET", "/v1/communities/*/bans/*/status", ACCESS_VIEWER, ban_status, "which boxes know a ban, since when" },
    {},
};

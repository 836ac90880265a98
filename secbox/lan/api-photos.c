/* SPDX-License-Identifier: MIT */
/* GET and POST /api/lan/photos: photos of entries, by the digest that the entry has. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "secbox/lan/lan-impl.h"

#define JPEG_TYPE "image/jpeg"

static int status_of(int r)
{
    return r == -EINVAL || r == -EMSGSIZE ? 400 : 503;
}

static void photo_post(LanRequest *q)
{
    const char *community = gate_data_community(q->lan->data)->id;
    _cleanup_(error_done) Error err = {};
    char digest[SHA256_HEX_SIZE];
    size_t len = 0;
    const char *data = http_body(q->exchange, &len);
    cJSON *body = NULL;

    int r = photo_store_put(q->lan->photos, community, data, len, realtime_usec(), digest, &err);
    if (r < 0) {
        lan_fail(q, status_of(r), r, &err);
        return;
    }
    q->lan->on_photo(q->lan->userdata);
    body = cJSON_CreateObject();
    if (json_add_string(body, "sha256", digest) < 0) {
        cJSON_Delete(body);
        body = NULL;
    }
    lan_answer(q, 201, body);
}

static void photo_get(LanRequest *q)
{
    _cleanup_(freep) char *digest = http_query(q->exchange, "sha256"), *data = NULL;
    char header[ETAG_HEADER_SIZE];
    const char *const headers[] = { header, NULL };
    _cleanup_(error_done) Error err = {};
    size_t len = 0;

    if (!photo_digest_is_valid(digest)) {
        lan_refuse(q, 400, "lan.bad-request", "sha256 must be 64 hexadecimal digits");
        return;
    }
    int r = photo_store_read(q->lan->photos, gate_data_community(q->lan->data)->id, digest, &data, &len, &err);
    if (r < 0) {
        lan_fail(q, r == -ENOENT ? 404 : 500, r, &err);
        return;
    }
    if (!lan_is_news(q, digest, header))
        return;
    lan_reply_raw(q->exchange, 200, JPEG_TYPE, data, len, headers);
    lan_request_free(q);
}

const LanRoute lan_photo_routes[] = {
    { "GET", "/api/lan/photos", LAN_GUARDS, photo_get },
    { "POST", "/api/lan/photos", LAN_JPEG, photo_post },
    {},
};

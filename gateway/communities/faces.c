/* SPDX-License-Identifier: MIT */
/* A box asks for one part at a time; a second question of its before the first is answered is passed over. */
#include "gateway/communities/faces.h"

#include <errno.h>
#include <string.h>

#include "gateway/communities/photos.h"
#include "gateway/store/faces-table.h"
#include "lib/base/encode.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/base/map.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/http/mjpeg-viewer.h"
#include "lib/tunnel/message.h"

struct Faces {
    Store *store;
    DeviceConns *conns;
    const CommunityEvents *events;
    Map *asking; /* device → Asking, owned */
};

typedef struct Asking {
    Faces *owner;
    char *device;
    char sha256[SHA256_HEX_SIZE];
    uint64_t offset;
    StoreQuery *query;
} Asking;

static void asking_free(void *asking)
{
    Asking *a = asking;

    store_query_free(a->query);
    free(a->device);
    free(a);
}

/* `size` 0: it is not there any more. */
static void send_part(const Asking *a, uint64_t size, const char *data)
{
    _cleanup_(cJSON_Deletep) cJSON *m = message_new("face.part");
    DeviceConn *conn = device_conn_find(a->owner->conns, a->device, ROLE_DEVICE);

    if (!m || !conn || json_add_string(m, "sha256", a->sha256) < 0 || json_add_u64(m, "offset", a->offset) < 0 ||
        json_add_u64(m, "size", size) < 0 || json_add_string(m, "data", data) < 0 || device_conn_send(conn, m) < 0)
        log_debug("%s does not hear of a face: it will ask again", a->device);
}

static void on_part(StoreQuery *q _unused_, int r, const StoreRows *rows, const Error *err, void *userdata)
{
    Asking *a = userdata;
    uint64_t size = 0;

    a->query = NULL;
    if (r < 0)
        log_debug("a face for %s waits for the database: %s", a->device, error_message(err, r));
    else if (store_rows_count(rows) > 0 && store_rows_u64(rows, 0, 0, FACE_BYTES_MAX, &size) >= 0)
        send_part(a, size, store_rows_get(rows, 0, 1));
    else
        send_part(a, 0, "");
    map_remove(a->owner->asking, a->device);
}

static Asking *asking_new(Faces *f, const char *device)
{
    Asking *a = calloc(1, sizeof(*a));

    if (!a)
        return NULL;
    *a = (Asking) { .owner = f, .device = strdup(device) };
    if (a->device && map_put(f->asking, device, a) >= 0)
        return a;
    asking_free(a);
    return NULL;
}

static void on_want(DeviceConn *conn, const cJSON *message, void *userdata)
{
    Faces *f = userdata;
    const char *device = device_conn_device(conn), *sha256 = json_string(message, "sha256");
    char community[UUID_SIZE];
    uint64_t offset = 0;

    if (device_conn_role(conn) != ROLE_DEVICE || map_get(f->asking, device) || !photo_name_is_valid(sha256) ||
        uuid_parse(json_string(message, "community"), community) < 0 || json_u64(message, "offset", &offset) < 0 ||
        offset >= FACE_BYTES_MAX)
        return;
    Asking *a = asking_new(f, device);
    if (!a)
        return;
    memcpy(a->sha256, sha256, SHA256_HEX_SIZE);
    a->offset = offset;
    if (store_query(f->store, sql_face_part(device, community, sha256, offset), on_part, a, &a->query, NULL) < 0)
        map_remove(f->asking, device);
}

static void fail(Request *c, int status, int code, const char *id, const char *sentence)
{
    _cleanup_(error_done) Error err = {};

    request_fail_status(c, status, error_set(&err, code, id, "%s", sentence), &err);
}

/* The path's community and row; negative: the request is answered. */
static int read_path(Request *c, char community[static UUID_SIZE], char id[static UUID_SIZE])
{
    if (request_uuid(c, 0, community) < 0 || request_uuid(c, 2, id) < 0)
        return -EINVAL;
    if (str_equal(c->args[1], "users") || str_equal(c->args[1], "bans"))
        return 0;
    fail(c, 404, ENOENT, "request.not-found", "users and bans have faces, and nobody else");
    return -ENOENT;
}

static void on_set(Request *c, const StoreRows *rows)
{
    const Faces *f = c->module;
    char community[UUID_SIZE];
    uint64_t version = 0;
    const char *epoch = store_rows_get(rows, 0, 1);
    _cleanup_(cJSON_Deletep) cJSON *body = cJSON_CreateObject();

    if (str_equal(store_rows_get(rows, 0, 0), "absent")) {
        fail(c, 404, ENOENT, "row.not-found", "there is no such row in this community");
        return;
    }
    if (f->events->on_changed && epoch && uuid_parse(c->args[0], community) >= 0 &&
        store_rows_u64(rows, 0, 2, INT64_MAX, &version) >= 0)
        f->events->on_changed(community, epoch, version, f->events->userdata);
    if (!body || json_add_string(body, "id", c->args[2]) < 0 || json_add_string(body, "face", c->scratch) < 0 ||
        json_add_string(body, "communityVersion", store_rows_get(rows, 0, 2)) < 0)
        request_fail(c, -ENOMEM, NULL);
    else
        request_answer(c, 200, TAKE_PTR(body));
}

static void set(Request *c)
{
    char community[UUID_SIZE], id[UUID_SIZE], sha256[SHA256_HEX_SIZE];
    size_t len = 0;
    const char *jpeg = http_body(c->exchange, &len);

    if (read_path(c, community, id) < 0)
        return;
    if (len > FACE_BYTES_MAX) {
        fail(c, 413, EMSGSIZE, "face.too-large", "the picture of a face has at most 524288 bytes");
        return;
    }
    if (!jpeg || !picture_is_jpeg(jpeg, len)) {
        fail(c, 400, EBADMSG, "face.not-jpeg", "the picture of a face is a JPEG, and the body holds nothing else");
        return;
    }
    _cleanup_(freep) char *text = base64_encode(jpeg, len);
    int r = text ? sha256_hex(jpeg, len, sha256) : -ENOMEM;
    if (r >= 0 && !(c->scratch = strdup(sha256)))
        r = -ENOMEM;
    if (r < 0) {
        request_fail(c, r, NULL);
        return;
    }
    c->scratch_free = free;
    request_query(
        c,
        sql_face_set(&(FaceChange) {
            .kind = c->args[1], .id = id, .community = community, .actor = c->actor, .sha256 = sha256, .jpeg = text }),
        on_set);
}

static void take_away(Request *c)
{
    char community[UUID_SIZE], id[UUID_SIZE];

    if (read_path(c, community, id) >= 0)
        request_query(
            c, sql_face_set(&(FaceChange) { .kind = c->args[1], .id = id, .community = community, .actor = c->actor }),
            on_set);
}

static void on_face(Request *c, const StoreRows *rows)
{
    static const char *const headers[] = { "Cache-Control: private, no-store", "X-Content-Type-Options: nosniff",
                                           NULL };
    const char *text = store_rows_count(rows) > 0 ? store_rows_get(rows, 0, 0) : NULL;
    _cleanup_(freep) uint8_t *jpeg = NULL;
    size_t len = 0;

    if (!text) {
        fail(c, 404, ENOENT, "face.none", "there is no picture of a face of this row");
        return;
    }
    int r = base64_decode(text, strlen(text), &jpeg, &len);
    if (r < 0) {
        request_fail(c, r, NULL);
        return;
    }
    HttpExchange *x = TAKE_PTR(c->exchange);
    request_free(c);
    http_respond(x, 200, "image/jpeg", (const char *) jpeg, len, headers);
}

static void show(Request *c)
{
    char community[UUID_SIZE], id[UUID_SIZE];

    if (read_path(c, community, id) >= 0)
        request_query(c, sql_face(c->args[1], id, community), on_face);
}

const Route face_routes[] = {
    { "GET", "/v1/communities/*/*/*/face", ACCESS_VIEWER, show, "the picture of a user's or a ban's face" },
    { "PUT", "/v1/communities/*/*/*/face", ACCESS_OPERATOR, set, "give one" },
    { "DELETE", "/v1/communities/*/*/*/face", ACCESS_OPERATOR, take_away, "take it away" },
    {},
};

Faces *faces_new(Store *store, DeviceConns *conns, const CommunityEvents *events)
{
    static const DeviceMessage messages[] = { { "face.want", false, on_want }, {} };
    static const DeviceListener listener = { .messages = messages };
    Faces *f = calloc(1, sizeof(*f));

    if (!f)
        return NULL;
    *f = (Faces) { .store = store, .conns = conns, .events = events, .asking = map_new(asking_free) };
    return f->asking && device_conns_listen(conns, &listener, f) >= 0 ? f : faces_free(f);
}

Faces *faces_free(Faces *f)
{
    if (!f)
        return NULL;
    map_free(f->asking);
    free(f);
    return NULL;
}

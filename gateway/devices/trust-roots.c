/* SPDX-License-Identifier: MIT */
#include "gateway/devices/trust-roots.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "gateway/store/trust-roots-table.h"
#include "lib/base/log.h"
#include "lib/base/map.h"
#include "lib/base/strv.h"
#include "lib/data/digest.h"
#include "lib/data/order-envelope.h"
#include "lib/data/trust-root.h"
#include "lib/tunnel/message.h"

#define STATUS_FAILED 500

typedef struct Root {
    char *sha256;
    uint64_t version;
    cJSON *order;
    Map *boxes; /* that wait; the values mean nothing */
} Root;

/* What a box was sent last, over which of its tunnels. */
typedef struct Told {
    uint64_t connection;
    char sha256[SHA256_HEX_SIZE];
    bool answered;
} Told;

struct TrustRoots {
    Store *store;
    DeviceConns *conns;
    Root *list; /* by version */
    size_t n;
    Map *told; /* device → Told */
    StoreQuery *loading;
    bool load_again;
};

static void roots_done(Root *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(list[i].sha256);
        cJSON_Delete(list[i].order);
        map_free(list[i].boxes);
    }
    free(list);
}

static bool can_be_sent(const TrustRoots *ts, const DeviceConn *s)
{
    const Told *told = map_get(ts->told, device_conn_device(s));

    return device_conn_takes(s, ORDER_TRUST) && (!told || told->answered || told->connection != device_conn_number(s));
}

static int note_told(TrustRoots *ts, const DeviceConn *s, const char *sha256)
{
    Told *told = calloc(1, sizeof(*told));

    if (!told)
        return -ENOMEM;
    told->connection = device_conn_number(s);
    snprintf(told->sha256, sizeof(told->sha256), "%s", sha256);
    int r = map_put(ts->told, device_conn_device(s), told);
    if (r < 0)
        free(told);
    return r;
}

static int send_root(DeviceConn *s, const Root *root)
{
    _cleanup_(cJSON_Deletep) cJSON *m = message_new("trust.root");

    if (!m || json_add_string(m, "id", root->sha256) < 0 || json_add_string(m, "deviceId", device_conn_device(s)) < 0 ||
        json_add_item(m, "order", cJSON_Duplicate(root->order, true)) < 0)
        return -ENOMEM;
    return device_conn_send(s, m);
}

static void tell(TrustRoots *ts, DeviceConn *s)
{
    for (size_t i = 0; i < ts->n && can_be_sent(ts, s); i++) {
        if (!map_get(ts->list[i].boxes, device_conn_device(s)))
            continue;
        int r = send_root(s, &ts->list[i]);
        if (r >= 0)
            r = note_told(ts, s, ts->list[i].sha256);
        if (r < 0 && r != -ENOTCONN)
            log_failure(LOG_LEVEL_WARNING, NULL, NULL, r, "the root document for %s waits until the box speaks again",
                        device_conn_device(s));
        return; /* the next one when it has answered */
    }
}

static void tell_one(DeviceConn *s, void *userdata)
{
    tell(userdata, s);
}

static void on_status(DeviceConn *s, const cJSON *status _unused_, void *userdata)
{
    tell(userdata, s);
}

static Root *find(const TrustRoots *ts, const char *sha256)
{
    for (size_t i = 0; i < ts->n; i++)
        if (str_equal(ts->list[i].sha256, sha256))
            return &ts->list[i];
    return NULL;
}

/* A box that could not write it gets it again when it speaks next, and nothing newer before. */
static void on_result(DeviceConn *s, const cJSON *result, void *userdata)
{
    TrustRoots *ts = userdata;
    const char *device = device_conn_device(s);
    Told *told = map_get(ts->told, device);
    Root *root = told && str_equal(told->sha256, json_string(result, "id")) ? find(ts, told->sha256) : NULL;
    const cJSON *error = cJSON_GetObjectItemCaseSensitive(result, "error");
    _cleanup_(freep) char *why = cJSON_IsObject(error) ? json_print(error) : NULL;
    uint64_t status = 0;

    if (!root || !map_get(root->boxes, device) || json_u64(result, "status", &status) < 0)
        return;
    if (status >= STATUS_FAILED) {
        map_remove(ts->told, device);
        return;
    }
    if (status >= 300 && !why)
        why = strdup("{}");
    if ((status >= 300 && !why) ||
        store_query(ts->store, sql_trust_root_answered(root->sha256, device, status < 300 ? NULL : why), NULL, NULL,
                    NULL, NULL) < 0) {
        map_remove(ts->told, device); /* it comes once more when the box speaks next, and the box says the same */
        return;
    }
    map_remove(root->boxes, device);
    told->answered = true;
    tell(ts, s);
}

static void on_removed(const char *device, void *userdata)
{
    TrustRoots *ts = userdata;

    for (size_t i = 0; i < ts->n; i++)
        map_remove(ts->list[i].boxes, device);
    map_remove(ts->told, device);
}

static int add_root(Root **list, size_t *n, const StoreRows *rows, size_t row)
{
    Root *grown = reallocarray(*list, *n + 1, sizeof(*grown));
    const char *envelope = store_rows_get(rows, row, 2);

    if (!grown)
        return -ENOMEM;
    *list = grown;
    Root *root = &grown[(*n)++];
    *root = (Root) { .boxes = map_new(NULL) };
    if (!root->boxes || store_rows_copy(rows, row, 0, &root->sha256) < 0)
        return -ENOMEM;
    int r = store_rows_u64(rows, row, 1, INT64_MAX, &root->version);
    return r < 0 ? r : json_parse_object(envelope ? envelope : "", envelope ? strlen(envelope) : 0, &root->order, NULL);
}

int trust_roots_adopt(TrustRoots *ts, const StoreRows *rows)
{
    Root *list = NULL;
    size_t n = 0;
    int r = 0;

    for (size_t i = 0; i < store_rows_count(rows) && r >= 0; i++) {
        if (n == 0 || !str_equal(list[n - 1].sha256, store_rows_get(rows, i, 0)))
            r = add_root(&list, &n, rows, i);
        if (r >= 0)
            r = map_put(list[n - 1].boxes, store_rows_get(rows, i, 3), ts);
    }
    if (r < 0) {
        roots_done(list, n);
        return r;
    }
    roots_done(ts->list, ts->n);
    ts->list = list;
    ts->n = n;
    device_conns_each(ts->conns, tell_one, ts);
    return 0;
}

static void load(TrustRoots *ts);

static void on_waiting_loaded(StoreQuery *q _unused_, int r, const StoreRows *rows, const Error *err, void *userdata)
{
    TrustRoots *ts = userdata;

    ts->loading = NULL;
    if (r >= 0)
        r = trust_roots_adopt(ts, rows);
    if (r < 0) /* all is loaded once the database is back */
        log_failure(LOG_LEVEL_WARNING, NULL, err, r, "which root documents boxes wait for is not known yet");
    if (r >= 0 && ts->load_again)
        load(ts);
}

static void load(TrustRoots *ts)
{
    ts->load_again = ts->loading != NULL;
    if (ts->loading)
        return;
    if (store_query(ts->store, sql_trust_roots_waiting(), on_waiting_loaded, ts, &ts->loading, NULL) < 0)
        log_warning("which root documents boxes wait for is not known yet");
}

static const DeviceMessage messages[] = {
    { "agent.status", true, on_status },
    { "trust.root.result", true, on_result },
    {},
};

static const DeviceListener listener = { .messages = messages, .on_removed = on_removed };

TrustRoots *trust_roots_new(Store *store, DeviceConns *conns)
{
    TrustRoots *ts = calloc(1, sizeof(*ts));

    if (!ts)
        return NULL;
    *ts = (TrustRoots) { .store = store, .conns = conns, .told = map_new(free) };
    return ts->told && device_conns_listen(conns, &listener, ts) >= 0 ? ts : trust_roots_free(ts);
}

TrustRoots *trust_roots_free(TrustRoots *ts)
{
    if (ts) {
        store_query_free(ts->loading);
        roots_done(ts->list, ts->n);
        map_free(ts->told);
        free(ts);
    }
    return NULL;
}

static void on_sent(Request *c, const StoreRows *rows)
{
    Error err = {};

    if (store_rows_count(rows) == 0) {
        request_fail(c,
                     error_set(&err, ENOENT, "root.no-boxes", "none of these boxes is here, and named by the document"),
                     &err);
        error_done(&err);
        return;
    }
    load(c->module);
    request_answer_text(c, 202, store_rows_get(rows, 0, 0));
}

/* A JSON array of texts as it is given to the database; absent: all. */
static int read_boxes(const cJSON *body, char **ret, Error *err)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(body, "devices"), *item;

    if (!list)
        return 0;
    if (!cJSON_IsArray(list))
        return error_set(err, EINVAL, "root.bad-boxes", "\"devices\" must be an array of boxes' ids");
    cJSON_ArrayForEach(item, list)
        if (!cJSON_IsString(item) || !device_id_is_valid(item->valuestring))
            return error_set(err, EINVAL, "root.bad-boxes", "\"devices\" must be an array of boxes' ids");
    *ret = json_print(list);
    return *ret ? 0 : -ENOMEM;
}

static int read_labels(const cJSON *body, char **ret, Error *err)
{
    const cJSON *labels = cJSON_GetObjectItemCaseSensitive(body, "labels"), *item;

    if (labels && !cJSON_IsObject(labels))
        return error_set(err, EINVAL, "root.bad-boxes", "\"labels\" must be an object");
    cJSON_ArrayForEach(item, labels)
        if (!cJSON_IsString(item))
            return error_set(err, EINVAL, "root.bad-boxes", "a label is a text");
    *ret = labels ? json_print(labels) : strdup("{}");
    return *ret ? 0 : -ENOMEM;
}

static int print_named(const TrustRoot *root, char **ret)
{
    _cleanup_(cJSON_Deletep) cJSON *list = cJSON_CreateArray();

    if (strv_contains(root->devices, ORDER_ANY_BOX))
        return 0;
    for (char *const *device = root->devices; *device; device++)
        if (json_append(list, cJSON_CreateString(*device)) < 0)
            return -ENOMEM;
    *ret = json_print(list);
    return *ret ? 0 : -ENOMEM;
}

/* The gateway reads for whom it is. That it says so to people at once spares them an answer of every box. */
static int read_root(const cJSON *order, TrustRoot *ret, char ret_sha256[static SHA256_HEX_SIZE], Error *err)
{
    const char *encoded = json_string(order, "statement");
    int r = order_envelope_check_form(order, err);

    if (r >= 0)
        r = trust_root_peek(order, ret, NULL, err);
    if (r >= 0 && ret->version > INT64_MAX)
        r = error_set(err, EINVAL, "root.jump", "no box takes so high a version");
    if (r == -EBADMSG)
        r = -EINVAL;
    return r < 0 ? r : sha256_hex(encoded, strlen(encoded), ret_sha256);
}

static void send_it(Request *c)
{
    const cJSON *body = request_parse_body(c);
    const cJSON *order = cJSON_GetObjectItemCaseSensitive(body, "order");
    _cleanup_(trust_root_done) TrustRoot root = {};
    _cleanup_(freep) char *envelope = NULL, *named = NULL, *chosen = NULL, *labels = NULL;
    _cleanup_(error_done) Error err = {};
    char sha256[SHA256_HEX_SIZE];

    if (!body)
        return;
    int r = read_root(order, &root, sha256, &err);
    if (r >= 0)
        r = read_boxes(body, &chosen, &err);
    if (r >= 0)
        r = read_labels(body, &labels, &err);
    if (r >= 0)
        r = print_named(&root, &named);
    envelope = r < 0 ? NULL : json_print(order);
    if (r >= 0 && !envelope)
        r = -ENOMEM;
    if (r < 0) {
        request_fail(c, r, &err);
        return;
    }
    const NewTrustRoot n = { sha256, root.version, envelope, named, chosen, labels, c->actor };
    request_query(c, sql_trust_root_send(&n), on_sent);
}

static void on_list(Request *c, const StoreRows *rows)
{
    request_answer_text(c, 200, store_rows_get(rows, 0, 0));
}

static void list(Request *c)
{
    request_query(c, sql_trust_roots(), on_list);
}

const Route trust_root_routes[] = {
    { "POST", "/v1/trust/roots", ACCESS_ADMIN, send_it, "send a root document to boxes" },
    { "GET", "/v1/trust/roots", ACCESS_VIEWER, list, "which were sent, and what boxes said" },
    {},
};

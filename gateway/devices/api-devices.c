/* SPDX-License-Identifier: MIT */
/* See api-devices.h. */
#include "gateway/devices/api-devices.h"

#include <errno.h>
#include <string.h>

#include "gateway/store/devices-table.h"
#include "lib/base/strv.h"
#include "lib/base/text.h"
#include "lib/data/json.h"

#define LABELS_MAX 32
#define LABEL_SIZE_MAX 256

static void new_secret_free(void *scratch)
{
    NewSecret *b = scratch;
    secret_free(b->secret);
    free(b);
}

cJSON *device_json(const DevicesApi *api, const StoreRows *rows, size_t row)
{
    _cleanup_(cJSON_Deletep) cJSON *o = NULL;
    const char *id = store_rows_get(rows, row, 0), *text = store_rows_get(rows, row, 1);
    if (!id || !text || json_parse_object(text, strlen(text), &o, NULL) < 0 ||
        device_conns_describe(api->conns, id, o) < 0)
        return NULL;
    return TAKE_PTR(o);
}

static void on_devices(Request *c, const StoreRows *rows)
{
    _cleanup_(cJSON_Deletep) cJSON *body = cJSON_CreateObject();
    cJSON *list = body ? cJSON_AddArrayToObject(body, "devices") : NULL;
    for (size_t i = 0; list && i < store_rows_count(rows); i++)
        if (json_append(list, device_json(c->module, rows, i)) < 0)
            list = NULL;
    if (list)
        request_answer(c, 200, TAKE_PTR(body));
    else
        request_fail(c, -ENOMEM, NULL);
}

static void list(Request *c)
{
    request_query(c, sql_devices(c->labels), on_devices);
}

static void fail_no_device(Request *c)
{
    Error err = {};
    error_set(&err, ENOENT, "device.not-found", "there is no device \"%s\" here", c->args[0]);
    request_fail(c, -ENOENT, &err);
    error_done(&err);
}

static void on_device(Request *c, const StoreRows *rows)
{
    if (store_rows_count(rows) == 0) {
        fail_no_device(c);
        return;
    }
    cJSON *body = cJSON_CreateObject();
    if (!body || json_add_item(body, "device", device_json(c->module, rows, 0)) < 0) {
        cJSON_Delete(body);
        request_fail(c, -ENOMEM, NULL);
        return;
    }
    request_answer(c, 200, body);
}

static void show(Request *c)
{
    request_query(c, sql_device(c->args[0]), on_device);
}

/* `may_be_null`: in a change, that is how a label is taken away. */
static int check_labels(const cJSON *labels, bool may_be_null, Error *err)
{
    const cJSON *i;
    if (labels && !cJSON_IsObject(labels))
        return error_set(err, EINVAL, "device.bad-labels", "labels must be an object of texts");
    if (cJSON_GetArraySize(labels) > LABELS_MAX)
        return error_set(err, EINVAL, "device.bad-labels", "a device has at most %d labels", LABELS_MAX);
    cJSON_ArrayForEach(i, labels) {
        const char *value = may_be_null && cJSON_IsNull(i) ? "" : cJSON_GetStringValue(i);
        if (!value || strlen(value) > LABEL_SIZE_MAX || strlen(i->string) > LABEL_SIZE_MAX || !text_is_plain(value) ||
            !text_is_plain(i->string))
            return error_set_at(err, EINVAL, "device.bad-labels", NULL, 0, i->string,
                                "a label is a text of at most %d bytes without control characters and invisible ones",
                                LABEL_SIZE_MAX);
    }
    return 0;
}

int device_labels_read(const cJSON *body, char **ret, Error *err)
{
    const cJSON *labels = cJSON_GetObjectItemCaseSensitive(body, "labels");
    int r = check_labels(labels, false, err);
    if (r < 0)
        return r;
    *ret = labels ? json_print(labels) : strdup("{}");
    return *ret ? 0 : error_from_errno(err, -ENOMEM, "reading labels");
}

int request_make_secret(Request *c, const char *prefix)
{
    NewSecret *b = calloc(1, sizeof(*b));
    if (!b)
        return -ENOMEM;
    c->scratch = b;
    c->scratch_free = new_secret_free;
    return secret_make(prefix, &b->secret, b->hash);
}

static void on_bootstrap(Request *c, const StoreRows *rows)
{
    const DevicesApi *api = c->module;
    const NewSecret *b = c->scratch;
    if (store_rows_count(rows) == 0) {
        Error err = {};
        if (!str_equal(c->route->path, "/v1/devices")) {
            fail_no_device(c);
            return;
        }
        error_set(&err, EEXIST, "device.exists", "there is a device \"%s\" already", c->args[0]);
        request_fail(c, -EEXIST, &err);
        error_done(&err);
        return;
    }
    bool blocked = store_rows_true(rows, 0, 2);
    cJSON *body = cJSON_CreateObject();
    if (!body || device_registry_put_device(api->registry, c->args[0], blocked) < 0 ||
        json_add_item(body, "device", device_json(c->module, rows, 0)) < 0 ||
        json_add_string(body, "bootstrap", b->secret) < 0 ||
        json_add_string(body, "bootstrapExpiresAt", store_rows_get(rows, 0, 3)) < 0 ||
        json_add_string(body, "cloud", api->issuer) < 0) {
        cJSON_Delete(body);
        request_fail(c, -ENOMEM, NULL);
        return;
    }
    request_answer(c, 201, body);
}

static int add_read(Request *c, const cJSON *body, char **ret_labels, Error *err)
{
    const char *id = json_string(body, "id");
    if (!device_id_is_valid(id))
        return error_set(err, EINVAL, "device.bad-id",
                         "a device id is 1 to %d letters, digits, '.', '_' and '-', beginning with a letter or digit",
                         DEVICE_ID_MAX);
    int r = device_labels_read(body, ret_labels, err);
    if (r < 0)
        return r;
    c->args[0] = strdup(id);
    if (!c->args[0] || request_make_secret(c, BOOTSTRAP_PREFIX) < 0)
        return error_from_errno(err, -ENOMEM, "adding a device");
    return 0;
}

static void add(Request *c)
{
    Error err = {};
    _cleanup_(freep) char *labels = NULL;
    const cJSON *body = request_parse_body(c);
    if (!body)
        return;
    int r = add_read(c, body, &labels, &err);
    if (r < 0) {
        request_fail(c, r, &err);
        error_done(&err);
        return;
    }
    const NewDevice d = {
        .id = c->args[0],
        .labels = labels,
        .actor = c->actor,
        .bootstrap_hash = ((NewSecret *) c->scratch)->hash,
        .bootstrap_hours = ((const DevicesApi *) c->module)->bootstrap_hours,
    };
    request_query(c, sql_device_add(&d), on_bootstrap);
}

static void renew_bootstrap(Request *c)
{
    if (request_make_secret(c, BOOTSTRAP_PREFIX) < 0) {
        request_fail(c, -ENOMEM, NULL);
        return;
    }
    const NewDevice d = {
        .id = c->args[0],
        .actor = c->actor,
        .bootstrap_hash = ((NewSecret *) c->scratch)->hash,
        .bootstrap_hours = ((const DevicesApi *) c->module)->bootstrap_hours,
    };
    request_query(c, sql_device_renew_bootstrap(&d), on_bootstrap);
}

static void on_block(Request *c, const StoreRows *rows)
{
    const DevicesApi *api = c->module;
    bool blocked = store_rows_true(rows, 0, 2);
    if (store_rows_count(rows) > 0 && device_registry_put_device(api->registry, c->args[0], blocked) < 0) {
        request_fail(c, -ENOMEM, NULL);
        return;
    }
    if (blocked)
        device_conns_block(api->conns, c->args[0]);
    on_device(c, rows);
}

static void block(Request *c)
{
    request_query(c, sql_device_set_blocked(c->args[0], true, c->actor), on_block);
}

static void unblock(Request *c)
{
    request_query(c, sql_device_set_blocked(c->args[0], false, c->actor), on_block);
}

static void on_key_revoked(Request *c, const StoreRows *rows)
{
    const DevicesApi *api = c->module;
    Error err = {};
    Role role;
    if (store_rows_count(rows) > 0 && !store_rows_get(rows, 0, 2)) {
        error_set(&err, ENOENT, "device.no-key", "device %s has claimed no key as %s: see secbox-fleet devices keys %s",
                  c->args[0], c->args[1], c->args[0]);
        request_fail(c, -ENOENT, &err);
        error_done(&err);
        return;
    }
    if (store_rows_count(rows) > 0 && role_parse(c->args[1], &role) >= 0) {
        device_registry_remove_key(api->registry, c->args[0], role);
        (void) !device_registry_put_vouched(api->registry, c->args[0], role, NULL); /* that cannot fail */
        device_conns_replace_key(api->conns, c->args[0], role);
    }
    on_device(c, rows);
}

/* Without it a thief of one key would have to be kept out by blocking the whole box. */
static void revoke_key(Request *c)
{
    request_query(c, sql_device_key_revoke(c->args[0], c->args[1], c->actor), on_key_revoked);
}

static void on_relabelled(Request *c, const StoreRows *rows)
{
    const DevicesApi *api = c->module;
    Error err = {};
    if (store_rows_count(rows) > 0)
        device_conns_relabel(api->conns, c->args[0]);
    if (store_rows_count(rows) > 0 || !device_registry_has_device(api->registry, c->args[0])) {
        on_device(c, rows);
        return;
    }
    error_set(&err, EINVAL, "device.bad-labels", "a device has at most %d labels", LABELS_MAX);
    request_fail(c, -EINVAL, &err);
    error_done(&err);
}

static void relabel(Request *c)
{
    Error err = {};
    const cJSON *body = request_parse_body(c);
    if (!body)
        return;
    const cJSON *labels = cJSON_GetObjectItemCaseSensitive(body, "labels");
    int r = labels ? check_labels(labels, true, &err)
                   : error_set(&err, EINVAL, "device.bad-labels", "a change of labels needs \"labels\": an object");
    _cleanup_(freep) char *text = r >= 0 ? json_print(labels) : NULL;
    if (r >= 0 && !text)
        r = -ENOMEM;
    if (r < 0)
        request_fail(c, r, &err);
    else
        request_query(c, sql_device_relabel(c->args[0], text, LABELS_MAX, c->actor), on_relabelled);
    error_done(&err);
}

/* A deployment's end would have nowhere to be written. */
static bool fail_busy(Request *c)
{
    const DevicesApi *api = c->module;
    Error err = {};
    if (!device_conns_is_busy(api->conns, c->args[0]))
        return false;
    error_set(&err, EBUSY, "device.busy",
              "a push or an update of %s is under way: wait for its end; to keep the box out"
              " meanwhile, block it",
              c->args[0]);
    request_fail(c, -EBUSY, &err);
    error_done(&err);
    return true;
}

/* A device on its way out. It is known until the database has forgotten it, whether or not somebody waits for the answer. */
typedef struct Removal {
    const DevicesApi *api;
    Requests *requests;
    char *device, *request;
    bool was_blocked;
} Removal;

static void removal_free(Removal *r)
{
    if (!r)
        return;
    free(r->device);
    free(r->request);
    free(r);
}
DEFINE_CLEANUP(Removal, removal_free)

static void answer_removed(Request *c, const StoreRows *rows)
{
    cJSON *body = cJSON_CreateObject();
    if (store_rows_count(rows) == 0)
        fail_no_device(c);
    else if (!body || json_add_string(body, "removed", c->args[0]) < 0)
        request_fail(c, -ENOMEM, NULL);
    else
        request_answer(c, 200, TAKE_PTR(body));
    cJSON_Delete(body);
}

static void on_removed(StoreQuery *q _unused_, int r, const StoreRows *rows, const Error *err, void *userdata)
{
    _cleanup_(removal_freep) Removal *x = userdata;
    Request *c = requests_find(x->requests, x->request);
    if (r >= 0) {
        device_registry_remove(x->api->registry, x->device);
        device_conns_remove(x->api->conns,
                            x->device); /* again, for those who made a copy of what was in the database */
    } else if (r != -ENOTCONN && device_registry_has_device(x->api->registry, x->device)) {
        /* else we do not know: what the database has is loaded when it is back */
        (void) !device_registry_put_device(x->api->registry, x->device,
                                           x->was_blocked); /* it is there, so this cannot fail */
    }
    if (c && r < 0)
        request_fail(c, r, err);
    else if (c)
        answer_removed(c, rows);
}

static Removal *removal_new(const Request *c)
{
    const DevicesApi *api = c->module;
    _cleanup_(removal_freep) Removal *x = calloc(1, sizeof(*x));
    if (!x)
        return NULL;
    *x = (Removal) { .api = api, .requests = c->requests, .device = strdup(c->args[0]), .request = strdup(c->id) };
    x->was_blocked = device_registry_is_blocked(api->registry, c->args[0]);
    return x->device && x->request ? TAKE_PTR(x) : NULL;
}

/* It is shut out first, in memory alone, so that nothing new begins. The records of its sessions are written before what they
 * hang on is deleted. */
static void on_found(Request *c, const StoreRows *rows)
{
    const DevicesApi *api = c->module;
    Error err = {};
    if (store_rows_count(rows) == 0) {
        fail_no_device(c);
        return;
    }
    if (fail_busy(c))
        return;
    Removal *x = removal_new(c);
    if (!x || device_registry_put_device(api->registry, x->device, true) < 0) {
        removal_free(x);
        request_fail(c, -ENOMEM, NULL);
        return;
    }
    device_conns_remove(api->conns, x->device);
    int r = store_query(api->store, sql_device_remove(x->device, c->actor), on_removed, x, NULL, &err);
    if (r < 0)
        on_removed(NULL, r, NULL, &err, x);
    error_done(&err);
}

static void remove_device(Request *c)
{
    if (!fail_busy(c))
        request_query(c, sql_device(c->args[0]), on_found);
}

const Route device_routes[] = {
    { "GET", "/v1/devices", ACCESS_VIEWER, list, "all devices" },
    { "POST", "/v1/devices", ACCESS_OPERATOR, add, "add a device" },
    { "GET", "/v1/devices/*", ACCESS_VIEWER, show, "one device" },
    { "PATCH", "/v1/devices/*", ACCESS_OPERATOR, relabel, "change its labels" },
    { "DELETE", "/v1/devices/*", ACCESS_ADMIN, remove_device, "forget it for good" },
    { "POST", "/v1/devices/*/bootstrap", ACCESS_OPERATOR, renew_bootstrap, "a new bootstrap token" },
    { "DELETE", "/v1/devices/*/keys/*", ACCESS_ADMIN, revoke_key, "revoke the key of one of its roles" },
    { "POST", "/v1/devices/*/block", ACCESS_OPERATOR, block, "keep a device out" },
    { "POST", "/v1/devices/*/unblock", ACCESS_OPERATOR, unblock, "let it in again" },
    {},
};

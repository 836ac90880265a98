/* SPDX-License-Identifier: MIT */
#include "gateway/deployments/bundle-keys.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "gateway/deployments/bundle-folder.h"
#include "gateway/http/label-scope.h"
#include "gateway/store/devices-table.h"
#include "lib/base/fileio.h"
#include "lib/base/limits.h"
#include "lib/base/map.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/data/seal.h"

#define FOLDER "bundle-keys"
#define TIDY_INTERVAL USEC_PER_HOUR

struct BundleKeys {
    BundleFolder *folder;
    const Bundles *bundles;
    usec_t tidied;
    /* a rollout asks for one box after the other: those of the archive that was asked about last, device → key */
    char last[BUNDLE_DIGEST_SIZE];
    Map *boxes; /* NULL: none was */
};

static int read_keys(const char *path, Map *boxes)
{
    _cleanup_(freep) char *text = NULL;
    _cleanup_(cJSON_Deletep) cJSON *all = NULL;
    const cJSON *key;
    size_t len = 0;
    int r = file_read(path, HTTP_BODY_MAX, &text, &len, NULL);

    if (r >= 0)
        r = json_parse_object(text, len, &all, NULL);
    cJSON_ArrayForEach(key, all) {
        char *copy = r >= 0 && cJSON_IsString(key) ? strdup(key->valuestring) : NULL;
        r = r < 0 ? r : copy ? map_put(boxes, key->string, copy) : -ENOMEM;
        if (r < 0)
            free(copy);
    }
    return r;
}

static void forget(BundleKeys *k)
{
    k->boxes = map_free(k->boxes);
}

static int look_up(BundleKeys *k, const char *digest)
{
    _cleanup_(freep) char *path = bundle_folder_path(k->folder, digest);

    if (k->boxes && str_equal(k->last, digest))
        return 0;
    forget(k);
    k->boxes = map_new(free);
    int r = path && k->boxes ? read_keys(path, k->boxes) : -ENOMEM;
    if (r < 0)
        forget(k);
    else
        (void) snprintf(k->last, sizeof(k->last), "%s", digest);
    return r;
}

int bundle_keys_find(const char *device, const char *digest, char **ret, void *keys, Error *err)
{
    BundleKeys *k = keys;
    int r = look_up(k, digest);
    const char *key = r < 0 ? NULL : map_get(k->boxes, device);

    *ret = NULL;
    if (r == -ENOENT)
        return 0;
    if (r < 0)
        return error_from_errno(err, r, "look for the key of a push");
    if (!key)
        return error_set(err, EINVAL, "bundle.no-key",
                         "the secrets of this push are not sealed for the device %s: push to it by itself", device);
    *ret = strdup(key);
    return *ret ? 0 : error_from_errno(err, -ENOMEM, "look for the key of a push");
}

/* an operator brings them */

static int check_keys(const cJSON *keys, Error *err)
{
    const cJSON *key;

    if (!cJSON_IsObject(keys) || !keys->child)
        return error_set(err, EINVAL, "bundle.bad-key",
                         "the body needs \"keys\": an object with a key for each device");
    cJSON_ArrayForEach(key, keys)
        if (!cJSON_IsString(key) || !seal_wrapped_is_valid(key->valuestring))
            return error_set(err, EINVAL, "bundle.bad-key", "what is for \"%.64s\" is no wrapped key", key->string);
    return 0;
}

static int check_bundle(const BundleKeys *k, const char *digest, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *bundle = cJSON_CreateObject();
    const char *unused = NULL;

    return !bundle || json_add_string(bundle, "digest", digest) < 0 ? -ENOMEM
                                                                    : bundles_check(k->bundles, bundle, &unused, err);
}

static void answer_kept(Request *c)
{
    cJSON *body = cJSON_CreateObject();

    if (body)
        request_answer(c, 200, body);
    else
        request_fail(c, -ENOMEM, NULL);
}

static void on_written(void *userdata)
{
    forget(userdata);
}

static const BundleFolderEvents folder_events = { answer_kept, on_written };

static void keep(Request *c)
{
    BundleKeys *k = c->module;
    _cleanup_(freep) char *text = json_print(cJSON_GetObjectItemCaseSensitive(c->body, "keys"));

    if (!text)
        request_fail(c, -ENOMEM, NULL);
    else if (bundle_folder_is_saving(k->folder, c->args[0])) /* other keys */
        bundle_folder_busy(c);
    else
        bundle_folder_save(k->folder, c, text, strlen(text));
}

static void on_reached(Request *c, const StoreRows *rows)
{
    _cleanup_(error_done) Error err = {};

    if (store_rows_true(rows, 0, 0))
        keep(c);
    else
        request_fail(c, label_scope_refuse(c, request_person(c), SCOPE_FLEET, NULL, &err), &err);
}

/* Of all whose keys there are now, and of all who had any: those go. A JSON array. */
static char *boxes_of(const BundleKeys *k, const cJSON *keys)
{
    _cleanup_(cJSON_Deletep) cJSON *boxes = cJSON_CreateArray();
    const cJSON *key;
    const char *box;

    for (size_t i = 0; k->boxes && map_next(k->boxes, &i, &box, NULL);)
        if (json_append(boxes, cJSON_CreateString(box)) < 0)
            return NULL;
    cJSON_ArrayForEach(key, keys)
        if (json_append(boxes, cJSON_CreateString(key->string)) < 0)
            return NULL;
    return json_print(boxes);
}

/* For a token that is bound to labels. What is sealed has a digest of its own each time, so files that somebody has pushed without
 * keys hold nothing sealed: keys would only keep them from the boxes that are not named. */
static void check_reach(Request *c, const cJSON *keys)
{
    BundleKeys *k = c->module;
    int r = look_up(k, c->args[0]);
    _cleanup_(freep) char *boxes = r >= 0 || r == -ENOENT ? boxes_of(k, keys) : NULL;

    if (boxes)
        request_query(c, sql_devices_reached(boxes, c->labels, r == -ENOENT ? c->args[0] : NULL), on_reached);
    else
        request_fail(c, r < 0 && r != -ENOENT ? r : -ENOMEM, NULL);
}

static void bring(Request *c)
{
    BundleKeys *k = c->module;
    _cleanup_(error_done) Error err = {};
    const cJSON *body = request_parse_body(c), *keys;
    int r;

    if (!body)
        return;
    keys = cJSON_GetObjectItemCaseSensitive(body, "keys");
    r = check_bundle(k, c->args[0], &err);
    if (r >= 0)
        r = check_keys(keys, &err);
    if (r < 0)
        request_fail(c, r, &err);
    else if (c->labels)
        check_reach(c, keys);
    else
        keep(c);
}

const Route bundle_key_routes[] = {
    { "POST", "/v1/bundles/*/keys", ACCESS_DEPLOY, bring, "who may read its secrets" },
    {},
};

/* all of them */

static bool has_no_archive(const char *name, const struct stat *st _unused_, const void *keys)
{
    _cleanup_(freep) char *digest = str_format(BUNDLE_DIGEST_PREFIX "%s", name);

    return digest && check_bundle(keys, digest, NULL) < 0;
}

void bundle_keys_sweep(BundleKeys *k)
{
    usec_t now = boottime_usec();

    if (k->tidied > 0 && now - k->tidied < TIDY_INTERVAL)
        return;
    k->tidied = now;
    forget(k);
    bundle_folder_sweep(k->folder, has_no_archive, k);
}

int bundle_keys_new(sd_event *event, const char *state_dir, Requests *requests, const Bundles *bundles,
                    BundleKeys **ret, Error *err)
{
    _cleanup_(bundle_keys_freep) BundleKeys *k = calloc(1, sizeof(*k));
    int r;

    if (!k)
        return -ENOMEM;
    k->bundles = bundles;
    r = bundle_folder_new(event, state_dir, FOLDER, requests, &folder_events, k, &k->folder, err);
    if (r == 0)
        *ret = TAKE_PTR(k);
    return r;
}

BundleKeys *bundle_keys_free(BundleKeys *k)
{
    if (!k)
        return NULL;
    bundle_folder_free(k->folder);
    map_free(k->boxes);
    free(k);
    return NULL;
}

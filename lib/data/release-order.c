/* SPDX-License-Identifier: MIT */
#include "lib/data/release-order.h"

#include <errno.h>
#include <string.h>

#include "lib/base/fileio.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/data/json-fields.h"

#define ORDER_PATH RELEASE_STATE_DIR "/order.json"
#define REFUSAL_PATH RELEASE_STATE_DIR "/refused.json"
#define FILE_MAX (64 * 1024)

static const JsonField order_fields[] = {
    { JSON_FIELD(ReleaseOrder, id, "id") },        { JSON_FIELD(ReleaseOrder, number, "version") },
    { JSON_FIELD(ReleaseOrder, to, "to") },        { JSON_FIELD(ReleaseOrder, sha256, "sha256") },
    { JSON_FIELD(ReleaseOrder, who, "signedBy") }, { JSON_FIELD(ReleaseOrder, seconds, "seconds") },
    { JSON_FIELD(ReleaseOrder, told, "told") },    { JSON_TIME_FIELD(ReleaseOrder, at, "at") },
    { JSON_REST_FIELD(ReleaseOrder, rest) },       {},
};
static const JsonType order_type = JSON_TYPE(ReleaseOrder, order_fields);

static const JsonField refusal_fields[] = {
    { JSON_FIELD(ReleaseRefusal, id, "id") },
    { JSON_FIELD(ReleaseRefusal, error, "error") },
    { JSON_FIELD(ReleaseRefusal, text, "message") },
    {},
};
static const JsonType refusal_type = JSON_TYPE(ReleaseRefusal, refusal_fields);

static int load(const char *below, const JsonType *type, void *ret, Error *err)
{
    _cleanup_(freep) char *path = path_in_root(below), *text = NULL;
    _cleanup_(cJSON_Deletep) cJSON *o = NULL;
    _cleanup_(error_done) Error why = {};
    size_t len = 0;
    int r = path ? file_read(path, FILE_MAX, &text, &len, &why) : -ENOMEM;

    if (r == -ENOENT)
        return 0;
    if (r >= 0)
        r = json_parse_object(text, len, &o, &why);
    if (r >= 0)
        r = json_read(o, type, ret);
    if (r >= 0)
        return 0;
    json_done(type, ret);
    return error_set(err, r, "release.damaged", "%s cannot be read: %s", path ? path : below, error_message(&why, r));
}

static int save(const char *below, const JsonType *type, const void *value, Error *err)
{
    _cleanup_(freep) char *path = path_in_root(below), *folder = path_in_root(RELEASE_STATE_DIR), *text = NULL;
    _cleanup_(cJSON_Deletep) cJSON *o = json_write(type, value);
    int r = path && folder && o && (text = json_print(o)) ? 0 : -ENOMEM;

    if (r >= 0)
        r = dir_make(folder, 0700, (uid_t) -1, (gid_t) -1, err);
    return r < 0 ? error_from_errno(err, r, "cannot note what was ordered")
                 : file_write_atomic(path, text, strlen(text), 0600, (uid_t) -1, (gid_t) -1, err);
}

int release_order_load(ReleaseOrder *ret, Error *err)
{
    *ret = (ReleaseOrder) {};
    int r = load(ORDER_PATH, &order_type, ret, err);

    if (r >= 0 && ret->id && (!ret->number || !ret->to || !ret->sha256)) {
        release_order_done(ret);
        r = error_set(err, EBADMSG, "release.damaged", ORDER_PATH " does not say what was ordered: remove it");
    }
    return r;
}

int release_order_save(const ReleaseOrder *o, Error *err)
{
    return save(ORDER_PATH, &order_type, o, err);
}

void release_order_done(ReleaseOrder *o)
{
    json_done(&order_type, o);
}

int release_refusal_load(ReleaseRefusal *ret, Error *err)
{
    *ret = (ReleaseRefusal) {};
    return load(REFUSAL_PATH, &refusal_type, ret, err);
}

int release_refusal_save(const char *id, const Error *why, int r, Error *err)
{
    const ReleaseRefusal f = { .id = (char *) (uintptr_t) id,
                               .error = (char *) (uintptr_t) error_id(why),
                               .text = (char *) (uintptr_t) error_message(why, r) };

    return save(REFUSAL_PATH, &refusal_type, &f, err);
}

void release_refusal_done(ReleaseRefusal *f)
{
    json_done(&refusal_type, f);
}

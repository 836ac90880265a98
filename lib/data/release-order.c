/* SPDX-License-Identifier: MIT */
#include "lib/data/release-order.h"

#include <errno.h>

#include "lib/base/paths.h"
#include "lib/data/release-file.h"

#define ORDER_PATH RELEASE_STATE_DIR "/order.json"
#define REFUSAL_PATH RELEASE_STATE_DIR "/refused.json"

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

int release_order_load(ReleaseOrder *ret, Error *err)
{
    *ret = (ReleaseOrder) {};
    int r = release_file_load(ORDER_PATH, &order_type, ret, err);

    if (r >= 0 && ret->id && (!ret->number || !ret->to || !ret->sha256)) {
        release_order_done(ret);
        r = error_set(err, EBADMSG, "release.damaged", ORDER_PATH " does not say what was ordered: remove it");
    }
    return r;
}

int release_order_save(const ReleaseOrder *o, Error *err)
{
    return release_file_save(ORDER_PATH, &order_type, o, err);
}

void release_order_done(ReleaseOrder *o)
{
    json_done(&order_type, o);
}

int release_refusal_load(ReleaseRefusal *ret, Error *err)
{
    *ret = (ReleaseRefusal) {};
    return release_file_load(REFUSAL_PATH, &refusal_type, ret, err);
}

int release_refusal_save(const char *id, const Error *why, int r, Error *err)
{
    const ReleaseRefusal f = { .id = (char *) (uintptr_t) id,
                               .error = (char *) (uintptr_t) error_id(why),
                               .text = (char *) (uintptr_t) error_message(why, r) };

    return release_file_save(REFUSAL_PATH, &refusal_type, &f, err);
}

void release_refusal_done(ReleaseRefusal *f)
{
    json_done(&refusal_type, f);
}

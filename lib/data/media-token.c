/* SPDX-License-Identifier: MIT */
#include "lib/data/media-token.h"

#include <errno.h>
#include <string.h>

#include "lib/base/strv.h"
#include "lib/data/camera-name.h"
#include "lib/data/json.h"

#define VERSION 1
#define NAME_MAX_BYTES 256

void media_token_done(MediaToken *t)
{
    free(t->device);
    free(t->camera);
    free(t->person);
    free(t->event);
    *t = (MediaToken) {};
}

uint64_t media_token_session_seconds(const MediaToken *t)
{
    return 2 * (t->event ? MEDIA_EVENT_SECONDS : t->until - t->from) + MEDIA_SPARE_SECONDS;
}

static int add_seconds(cJSON *claims, const char *name, uint64_t seconds)
{
    return json_add_item(claims, name, cJSON_CreateNumber((double) seconds));
}

/* A box that knows no events finds no window in a token of one, and takes it for none. */
static int add_what(cJSON *claims, const MediaToken *t)
{
    if (t->event)
        return json_add_string(claims, "event", t->event);
    int r = add_seconds(claims, "from", t->from);
    return r < 0 ? r : add_seconds(claims, "until", t->until);
}

int media_token_sign(const Key *key, MediaToken *t, char **ret, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *claims = cJSON_CreateObject();

    if (!claims || jwt_id_make(t->id) < 0 || json_add_int(claims, "v", VERSION) < 0 ||
        json_add_string(claims, "aud", t->device) < 0 || json_add_string(claims, "cam", t->camera) < 0 ||
        json_add_string(claims, "sub", t->person) < 0 || json_add_string(claims, "jti", t->id) < 0 ||
        add_what(claims, t) < 0 || add_seconds(claims, "nbf", t->not_before) < 0 ||
        add_seconds(claims, "exp", t->expires) < 0)
        return error_from_errno(err, -ENOMEM, "cannot make a token for a recording");
    return jwt_sign(key, MEDIA_TOKEN_TYPE, claims, ret, err);
}

static bool take_name(const cJSON *claims, const char *name, char **ret)
{
    const char *text = json_string(claims, name);

    if (str_empty(text) || strnlen(text, NAME_MAX_BYTES + 1) > NAME_MAX_BYTES)
        return false;
    *ret = strdup(text);
    return *ret;
}

static bool take_what(const cJSON *claims, MediaToken *t)
{
    bool has_event = cJSON_GetObjectItemCaseSensitive(claims, "event");

    if (has_event)
        return take_name(claims, "event", &t->event) && frigate_id_is_valid(t->event);
    return jwt_seconds(claims, "from", &t->from) && jwt_seconds(claims, "until", &t->until) && t->until > t->from;
}

static int read_claims(const cJSON *claims, MediaToken *t, Error *err)
{
    const cJSON *version = cJSON_GetObjectItemCaseSensitive(claims, "v");
    const char *id = json_string(claims, "jti");

    if (!cJSON_IsNumber(version) || version->valueint != VERSION)
        return error_set(err, EBADMSG, "media.token-malformed", "the token is of another version than %d", VERSION);
    if (!jwt_id_is_valid(id) || !take_name(claims, "aud", &t->device) || !take_name(claims, "cam", &t->camera) ||
        !take_name(claims, "sub", &t->person) || !take_what(claims, t) || !jwt_seconds(claims, "nbf", &t->not_before) ||
        !jwt_seconds(claims, "exp", &t->expires) || !camera_name_is_valid(t->camera))
        return error_set(err, EBADMSG, "media.token-malformed",
                         "the token does not say who may see which camera's recording, and when");
    memcpy(t->id, id, sizeof(t->id));
    return 0;
}

static int check_time(const MediaToken *t, uint64_t now, Error *err)
{
    if (now + JWT_LEEWAY_SECONDS < t->not_before)
        return error_set(err, EACCES, "media.token-time",
                         "the token is not good yet; check the clocks of the box and of the cloud");
    if (now >= t->expires + JWT_LEEWAY_SECONDS)
        return error_set(err, EACCES, "media.token-time", "the token's time is over; ask for another one");
    return 0;
}

int media_token_open(const Key *key, const char *text, const char *device, uint64_t now, MediaToken *ret, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *claims = NULL;
    _cleanup_(media_token_done) MediaToken t = {};
    int r = jwt_open(key, text, MEDIA_TOKEN_TYPE, &claims, err);

    if (r >= 0)
        r = read_claims(claims, &t, err);
    if (r < 0)
        return r;
    if (!str_equal(t.device, device))
        return error_set(err, EACCES, "media.token-device", "the token is for another box");
    r = check_time(&t, now, err);
    if (r < 0)
        return r;
    *ret = t;
    t = (MediaToken) {};
    return 0;
}

/* SPDX-License-Identifier: MIT */
#include "lib/data/pass.h"

#include <errno.h>
#include <string.h>

#include "lib/data/json.h"
#include "lib/data/jwt.h"

#define PASS_VERSION 1

int pass_sign(const Key *key, Pass *pass, char **ret, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *claims = cJSON_CreateObject();

    if (!claims || jwt_id_make(pass->id) < 0 || json_add_int(claims, "v", PASS_VERSION) < 0 ||
        json_add_string(claims, "aud", pass->community) < 0 || json_add_string(claims, "sub", pass->guest) < 0 ||
        json_add_string(claims, "jti", pass->id) < 0 ||
        json_add_item(claims, "nbf", cJSON_CreateNumber((double) pass->from)) < 0 ||
        json_add_item(claims, "exp", cJSON_CreateNumber((double) pass->until)) < 0)
        return error_from_errno(err, -ENOMEM, "cannot make a pass");
    return jwt_sign(key, PASS_TYPE, claims, ret, err);
}

static bool take_uuid(const cJSON *claims, const char *name, char ret[static UUID_SIZE])
{
    const char *text = json_string(claims, name);

    return text && uuid_parse(text, ret) >= 0;
}

int pass_open(const Key *key, const char *text, Pass *ret, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *claims = NULL;
    Pass p = {};
    int r = jwt_open(key, text, PASS_TYPE, &claims, err);

    if (r < 0)
        return r;
    const cJSON *version = cJSON_GetObjectItemCaseSensitive(claims, "v");
    const char *id = json_string(claims, "jti");
    if (!cJSON_IsNumber(version) || version->valueint != PASS_VERSION)
        return error_set(err, EBADMSG, "pass.malformed", "the pass is of another version than %d", PASS_VERSION);
    if (!jwt_id_is_valid(id) || !take_uuid(claims, "aud", p.community) || !take_uuid(claims, "sub", p.guest) ||
        !jwt_seconds(claims, "nbf", &p.from) || !jwt_seconds(claims, "exp", &p.until))
        return error_set(err, EBADMSG, "pass.malformed", "the pass does not say whose it is, for which time");
    memcpy(p.id, id, sizeof(p.id));
    *ret = p;
    return 0;
}

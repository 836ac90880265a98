/* SPDX-License-Identifier: MIT */
/* As a guest's pass: the key of the box's community (made now, where there is none yet), the audit entry, the answer. The token is
 * in the answer alone: not in the database, the audit log or a log line. */
#include "gateway/communities/api-recordings.h"

#include <errno.h>
#include <string.h>

#include "gateway/communities/api-communities.h"
#include "gateway/communities/community-key.h"
#include "gateway/store/media-table.h"
#include "gateway/store/passes-table.h"
#include "lib/base/strv.h"
#include "lib/data/camera-name.h"
#include "lib/data/json.h"
#include "lib/data/media-token.h"

#define PERSON_MAX 128

/* What is known of the token between two statements. */
typedef struct TokenDraft {
    MediaToken token;
    char community[UUID_SIZE];
    char *text; /* secret */
} TokenDraft;

static void token_draft_free(void *draft)
{
    TokenDraft *d = draft;

    media_token_done(&d->token);
    secret_free(d->text);
    free(d);
}

static int add_time(cJSON *o, const char *name, uint64_t seconds)
{
    char time[TIMESTAMP_SIZE];

    return json_add_string(o, name, timestamp_format(seconds * USEC_PER_SEC, time));
}

static int add_what(cJSON *o, const MediaToken *t)
{
    if (t->event)
        return json_add_string(o, "event", t->event);
    int r = add_time(o, "from", t->from);
    return r < 0 ? r : add_time(o, "until", t->until);
}

static cJSON *draft_to_json(const TokenDraft *d)
{
    _cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();

    if (!o || json_add_string(o, "id", d->token.id) < 0 || json_add_string(o, "camera", d->token.camera) < 0 ||
        json_add_string(o, "person", d->token.person) < 0 || add_what(o, &d->token) < 0 ||
        add_time(o, "expiresAt", d->token.expires) < 0)
        return NULL;
    return TAKE_PTR(o);
}

/* Where a viewer begins, on whatever host the box is reached. */
static int add_path(cJSON *o, const char *name, const TokenDraft *d, const char *room, const char *file)
{
    _cleanup_(secret_freep) char *path =
        str_format("/media/%s/%s/%llu/%llu/%s?t=%s", room, d->token.camera, (unsigned long long) d->token.from,
                   (unsigned long long) d->token.until, file, d->text);

    return path ? json_add_string(o, name, path) : -ENOMEM;
}

static int add_event_path(cJSON *o, const TokenDraft *d)
{
    _cleanup_(secret_freep) char *path = str_format("/media/event/%s.mp4?t=%s", d->token.event, d->text);

    return path ? json_add_string(o, "clip", path) : -ENOMEM;
}

static int add_paths(cJSON *o, const TokenDraft *d)
{
    if (d->token.event)
        return add_event_path(o, d);
    return add_path(o, "path", d, "vod", "master.m3u8") < 0 || add_path(o, "clip", d, "clip", "clip.mp4") < 0 ||
                   add_path(o, "preview", d, "preview", "preview.mp4") < 0 ||
                   add_path(o, "strip", d, "preview", "strip.json") < 0
               ? -ENOMEM
               : 0;
}

static void on_audited(Request *c, const StoreRows *rows _unused_)
{
    const TokenDraft *d = c->scratch;
    _cleanup_(cJSON_Deletep) cJSON *recording = draft_to_json(d), *body = cJSON_CreateObject();

    if (!recording || !body || json_add_string(recording, "device", d->token.device) < 0 ||
        add_paths(recording, d) < 0 || json_add_item(body, "recording", TAKE_PTR(recording)) < 0)
        request_fail(c, -ENOMEM, NULL);
    else
        request_answer(c, 201, TAKE_PTR(body));
}

static void sign(Request *c, const char *pem)
{
    TokenDraft *d = c->scratch;
    _cleanup_(key_freep) Key *key = NULL;
    _cleanup_(error_done) Error err = {};
    int r = key_from_text(pem, strlen(pem), &key, &err);

    d->token.not_before = realtime_usec() / USEC_PER_SEC;
    d->token.expires = d->token.not_before + MEDIA_TOKEN_SECONDS;
    if (r >= 0)
        r = media_token_sign(key, &d->token, &d->text, &err);
    _cleanup_(cJSON_Deletep) cJSON *detail = r >= 0 ? draft_to_json(d) : NULL;
    _cleanup_(freep) char *text = detail ? json_print(detail) : NULL;
    if (text)
        request_query(c,
                      sql_media_token_add(&(NewMediaToken) {
                          .id = d->token.id,
                          .device = d->token.device,
                          .actor = c->actor,
                          .operator_hash = c->token_hash,
                          .detail = text,
                          .seconds = MEDIA_TOKEN_SECONDS + JWT_LEEWAY_SECONDS + media_token_session_seconds(&d->token),
                      }),
                      on_audited);
    else
        request_fail(c, r < 0 ? r : -ENOMEM, &err);
}

static void on_kept(Request *c, const StoreRows *rows)
{
    const TokenDraft *d = c->scratch;
    const char *pem = community_key_kept(c, d->community, rows);

    if (pem)
        sign(c, pem);
}

static void on_key(Request *c, const StoreRows *rows)
{
    TokenDraft *d = c->scratch;
    _cleanup_(error_done) Error err = {};
    bool found = store_rows_count(rows) > 0;
    const char *community = found ? store_rows_get(rows, 0, 0) : NULL;

    if (!found) {
        error_set(&err, ENOENT, "device.not-found", "there is no device \"%s\" here", d->token.device);
        request_fail(c, -ENOENT, &err);
    } else if (store_rows_true(rows, 0, 3)) {
        error_set(&err, EACCES, "device.blocked", "this device is blocked");
        request_fail(c, -EACCES, &err);
    } else if (!community || uuid_parse(community, d->community) < 0) {
        error_set(&err, EINVAL, "recording.no-community",
                  "the box has no community, whose key signs for recordings: give it the label community");
        request_fail_status(c, 409, -EINVAL, &err);
    } else if (store_rows_get(rows, 0, 1) && store_rows_true(rows, 0, 2)) {
        sign(c, store_rows_get(rows, 0, 1));
    } else {
        community_key_make(c, d->community, on_kept);
    }
}

static int read_time(const cJSON *body, const char *name, uint64_t *ret, Error *err)
{
    usec_t at = 0;

    if (rfc3339_parse(json_string(body, name), &at) < 0)
        return error_set(err, EINVAL, "request.bad-member", "\"%s\" must be a time like 2026-01-02T03:04:05Z", name);
    *ret = at / USEC_PER_SEC;
    return 0;
}

static int read_window(const cJSON *body, MediaToken *t, Error *err)
{
    int r = read_time(body, "from", &t->from, err);

    if (r >= 0)
        r = read_time(body, "until", &t->until, err);
    if (r >= 0 && (t->until <= t->from || t->until - t->from > MEDIA_WINDOW_SECONDS))
        return error_set(err, EINVAL, "request.bad-member", "\"until\" must be after \"from\", and a day at most");
    return r;
}

static int read_event(const cJSON *body, const char *event, MediaToken *t, Error *err)
{
    if (cJSON_GetObjectItemCaseSensitive(body, "from") || cJSON_GetObjectItemCaseSensitive(body, "until"))
        return error_set(err, EINVAL, "request.bad-member", "\"event\" stands alone: it has its own beginning and end");
    if (!frigate_id_is_valid(event))
        return error_set(err, EINVAL, "request.bad-member",
                         "\"event\" must be the id that Frigate has given to an event");
    t->event = strdup(event);
    return t->event ? 0 : -ENOMEM;
}

static int read_body(const cJSON *body, const char *asking, MediaToken *t, Error *err)
{
    const char *camera = json_string(body, "camera"), *person = json_string(body, "person");
    const char *event = json_string(body, "event");

    if (!camera_name_is_valid(camera))
        return error_set(err, EINVAL, "request.bad-member", "\"camera\" must be the name of a camera");
    if (person && (!*person || strlen(person) > PERSON_MAX))
        return error_set(err, EINVAL, "request.bad-member", "\"person\" must have 1 to %d bytes", PERSON_MAX);
    int r = event ? read_event(body, event, t, err) : read_window(body, t, err);
    if (r < 0)
        return r;
    t->camera = strdup(camera);
    t->person = strdup(person ? person : asking);
    return t->camera && t->person ? 0 : -ENOMEM;
}

static void allow(Request *c)
{
    TokenDraft *d = calloc(1, sizeof(*d));
    const cJSON *body;
    _cleanup_(error_done) Error err = {};

    c->scratch = d;
    c->scratch_free = d ? token_draft_free : NULL;
    if (!d) {
        request_fail(c, -ENOMEM, NULL);
        return;
    }
    body = request_parse_body(c);
    if (!body)
        return;
    d->token.device = strdup(c->args[0]);
    int r = d->token.device ? read_body(body, request_person(c), &d->token, &err) : -ENOMEM;
    if (r < 0)
        request_fail(c, r, &err);
    else
        request_query(c, sql_recording_key(d->token.device), on_key);
}

const Route recording_routes[] = {
    { "POST", "/v1/devices/*/recordings", ACCESS_OPERATOR, allow, "who may see what a camera has recorded" },
    {},
};

/* SPDX-License-Identifier: MIT */
#include "secbox/matches/frigate-news.h"

#include <errno.h>
#include <string.h>

#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "secbox/cameras/face-name.h"

/* 2100-01-01: what lies behind is no time of anything that was seen */
#define SECONDS_MAX 4102444800.0

static const char topic_events[] = "events", topic_reviews[] = "reviews", topic_updates[] = "tracked_object_update";

static bool take_text(const cJSON *o, const char *key, char *ret, size_t size)
{
    const char *text = json_string(o, key);
    size_t len = text ? strnlen(text, size) : 0;

    if (len == 0 || len == size)
        return false;
    memcpy(ret, text, len + 1);
    return true;
}

static usec_t take_time(const cJSON *o, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(o, key);

    return cJSON_IsNumber(item) && item->valuedouble > 0 && item->valuedouble < SECONDS_MAX
               ? (usec_t) (item->valuedouble * 1e6 + 0.5)
               : 0;
}

static double take_score(const cJSON *item)
{
    return cJSON_IsNumber(item) && item->valuedouble >= 0 && item->valuedouble <= 1 ? item->valuedouble
                                                                                    : READING_NO_SCORE;
}

usec_t frigate_id_time(const char *id)
{
    char seconds[FRIGATE_ID_SIZE];
    uint64_t n = 0;
    size_t len = strspn(id, "0123456789");

    if (!frigate_id_is_valid(id))
        return 0;
    memcpy(seconds, id, len);
    seconds[len] = '\0';
    return str_to_u64(seconds, 1, (uint64_t) SECONDS_MAX, &n) < 0 ? 0 : n * USEC_PER_SEC;
}

static bool take_names(const cJSON *o, char id[static FRIGATE_ID_SIZE], char camera[static CAMERA_NAME_MAX + 1])
{
    return take_text(o, "id", id, FRIGATE_ID_SIZE) && frigate_id_is_valid(id) &&
           take_text(o, "camera", camera, CAMERA_NAME_MAX + 1) && camera_name_is_valid(camera);
}

static void set_reading(Reading *r, const char *text, const cJSON *score)
{
    size_t len = text ? strnlen(text, READING_MAX + 1) : 0;

    if (len == 0 || len > READING_MAX)
        return;
    memcpy(r->text, text, len + 1);
    r->score = take_score(score);
}

/* "TEXT" with its score beside it, or ["TEXT", SCORE]. */
static void take_reading(Reading *r, const cJSON *item, const cJSON *score)
{
    const cJSON *pair = cJSON_IsArray(item) ? cJSON_GetArrayItem(item, 0) : item;

    set_reading(r, cJSON_GetStringValue(pair), cJSON_IsArray(item) ? cJSON_GetArrayItem(item, 1) : score);
}

/* Of a person only: what is written beside a car is the name that its plate is known by, or a firm's. */
static bool has_face(const cJSON *o)
{
    return str_equal(json_string(o, "label"), "person");
}

/* `more` is where the answer of /api/events keeps scores and plates; in messages that is the object itself. */
static bool take_object(const cJSON *o, const cJSON *more, ObjectNews *ret)
{
    *ret = (ObjectNews) {};
    if (!take_names(o, ret->id, ret->camera) || json_bool(o, "false_positive", false))
        return false;
    ret->started = take_time(o, "start_time");
    if (ret->started == 0)
        ret->started = frigate_id_time(ret->id);
    usec_t ended = take_time(o, "end_time"), frame = take_time(o, "frame_time");
    ret->ended = ended > 0;
    ret->at = frame > 0 ? frame : ended;
    if (has_face(o))
        take_reading(&ret->face, cJSON_GetObjectItemCaseSensitive(o, "sub_label"),
                     cJSON_GetObjectItemCaseSensitive(more, "sub_label_score"));
    (void) face_name_id(ret->face.text, ret->face.text);
    take_reading(&ret->plate, cJSON_GetObjectItemCaseSensitive(more, "recognized_license_plate"),
                 cJSON_GetObjectItemCaseSensitive(more, "recognized_license_plate_score"));
    return ret->started > 0;
}

/* Each attempt is told, one that knew nobody among them. */
static bool take_update(const cJSON *o, ObjectNews *ret)
{
    const char *type = json_string(o, "type");
    const cJSON *score = cJSON_GetObjectItemCaseSensitive(o, "score");

    *ret = (ObjectNews) { .attempt = true };
    if (!take_names(o, ret->id, ret->camera))
        return false;
    ret->started = frigate_id_time(ret->id);
    ret->at = take_time(o, "timestamp");
    if (str_equal(type, "face") && !str_equal(json_string(o, "name"), "unknown"))
        set_reading(&ret->face, json_string(o, "name"), score);
    else if (str_equal(type, "lpr"))
        set_reading(&ret->plate, json_string(o, "plate"), score);
    (void) face_name_id(ret->face.text, ret->face.text);
    return ret->started > 0 && (ret->face.text[0] || ret->plate.text[0]);
}

static size_t take_labels(const cJSON *list, char ret[static NEWS_LABELS_MAX][NEWS_LABEL_SIZE])
{
    const cJSON *item;
    size_t n = 0;

    cJSON_ArrayForEach(item, list) {
        const char *text = cJSON_GetStringValue(item);
        size_t len = text ? strnlen(text, NEWS_LABEL_SIZE) : 0;
        if (len == 0 || len == NEWS_LABEL_SIZE || n == NEWS_LABELS_MAX)
            continue;
        memcpy(ret[n++], text, len + 1);
    }
    return n;
}

static bool take_review(const cJSON *o, ReviewNews *ret)
{
    const cJSON *data = cJSON_GetObjectItemCaseSensitive(o, "data");

    *ret = (ReviewNews) {};
    if (!take_names(o, ret->id, ret->camera))
        return false;
    ret->from = take_time(o, "start_time");
    ret->until = take_time(o, "end_time");
    ret->alert = str_equal(json_string(o, "severity"), "alert");
    ret->n_objects = take_labels(cJSON_GetObjectItemCaseSensitive(data, "objects"), ret->objects);
    ret->n_zones = take_labels(cJSON_GetObjectItemCaseSensitive(data, "zones"), ret->zones);
    return ret->from > 0;
}

static int no_frigate(Error *err, const Error *why)
{
    return error_set(err, EBADMSG, "camera.frigate-answer", "Frigate says what cannot be read: %s",
                     error_message(why, -EBADMSG));
}

static int tell(const char *topic, const cJSON *payload, const NewsEvents *events, void *userdata)
{
    const cJSON *after = cJSON_GetObjectItemCaseSensitive(payload, "after");
    ObjectNews object;
    ReviewNews review;

    if (str_equal(topic, topic_reviews)) {
        if (!take_review(after, &review))
            return 0;
        events->on_review(&review, userdata);
        return 1;
    }
    bool update = str_equal(topic, topic_updates);
    if (!(update ? take_update(payload, &object) : take_object(after, after, &object)))
        return 0;
    events->on_object(&object, userdata);
    return 1;
}

/* All that Frigate knows comes by the same way, some of it large and often: what is about something else is not parsed. */
static bool may_be_news(const char *text, size_t len)
{
    return memmem(text, len, topic_events, sizeof(topic_events) - 1) ||
           memmem(text, len, topic_reviews, sizeof(topic_reviews) - 1) ||
           memmem(text, len, topic_updates, sizeof(topic_updates) - 1);
}

int frigate_news_message(const char *text, size_t len, const NewsEvents *events, void *userdata, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *message = NULL, *payload = NULL;
    _cleanup_(error_done) Error why = {};

    if (!may_be_news(text, len))
        return 0;
    if (json_parse_object(text, len, &message, &why) < 0)
        return no_frigate(err, &why);
    const char *topic = json_string(message, "topic"), *inner = json_string(message, "payload");
    if (!inner ||
        (!str_equal(topic, topic_events) && !str_equal(topic, topic_reviews) && !str_equal(topic, topic_updates)))
        return 0;
    /* a text within the text */
    if (json_parse_object(inner, strlen(inner), &payload, &why) < 0)
        return no_frigate(err, &why);
    return tell(topic, payload, events, userdata);
}

static int parse_list(const char *text, size_t len, cJSON **ret, Error *err)
{
    _cleanup_(error_done) Error why = {};
    int r = json_parse(text, len, ret, &why);

    if (r >= 0 && !cJSON_IsArray(*ret))
        r = error_set(&why, EBADMSG, "camera.frigate-answer", "its answer is no list");
    if (r >= 0)
        return 0;
    bool too_large = str_equal(why.id, "json.too-large");
    r = no_frigate(err, &why);
    return too_large ? -EMSGSIZE : r;
}

static void note_first(const cJSON *item, usec_t *first)
{
    usec_t at = take_time(item, "start_time");

    if (at > 0 && at < *first)
        *first = at;
}

int frigate_news_events(const char *text, size_t len, const NewsEvents *events, void *userdata, usec_t *ret_first,
                        Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *list = NULL;
    const cJSON *item;
    ObjectNews object;
    int r = parse_list(text, len, &list, err);

    *ret_first = USEC_INFINITY;
    if (r < 0)
        return r;
    cJSON_ArrayForEach(item, list) {
        note_first(item, ret_first);
        if (take_object(item, cJSON_GetObjectItemCaseSensitive(item, "data"), &object))
            events->on_object(&object, userdata);
    }
    return cJSON_GetArraySize(list);
}

int frigate_news_reviews(const char *text, size_t len, const NewsEvents *events, void *userdata, usec_t *ret_first,
                         Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *list = NULL;
    const cJSON *item;
    ReviewNews review;
    int r = parse_list(text, len, &list, err);

    *ret_first = USEC_INFINITY;
    if (r < 0)
        return r;
    cJSON_ArrayForEach(item, list) {
        note_first(item, ret_first);
        if (take_review(item, &review))
            events->on_review(&review, userdata);
    }
    return cJSON_GetArraySize(list);
}

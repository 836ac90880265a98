/* SPDX-License-Identifier: MIT */
/* One JSON file, and what events do to its entries. */

#include "mgmt-agent/agent/image-watch-state.h"

#include <errno.h>
#include <string.h>

#include "lib/base/fileio.h"
#include "lib/base/limits.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"

static char *state_path(void)
{
    return path_in_root(AGENT_STATE_DIR "/updates.json");
}

static int no_memory(Error *err)
{
    return error_set(err, ENOMEM, "update.state", "no memory for what is known of updates");
}

void watch_state_done(WatchState *s)
{
    cJSON_Delete(s->entries);
    cJSON_Delete(s->halted);
    *s = (WatchState) {};
}

int watch_state_load(WatchState *ret, Error *err)
{
    _cleanup_(freep) char *path = state_path();
    _cleanup_(freep) char *text = NULL;
    _cleanup_(cJSON_Deletep) cJSON *o = NULL;
    WatchState s = {};
    size_t len = 0;

    if (!path)
        return no_memory(err);
    if (file_read(path, JSON_SIZE_MAX, &text, &len, NULL) == 0 && json_parse_object(text, len, &o, NULL) == 0) {
        const char *last = json_string(o, "lastCheckAt");

        if (last && timestamp_parse(last, &s.last_check) < 0)
            s.last_check = 0;
        s.entries = cJSON_DetachItemFromObjectCaseSensitive(o, "services");
        s.halted = cJSON_DetachItemFromObjectCaseSensitive(o, "halted");
    }
    if (!cJSON_IsArray(s.entries)) {
        cJSON_Delete(s.entries);
        s.entries = cJSON_CreateArray();
    }
    if (!s.entries) {
        watch_state_done(&s);
        return no_memory(err);
    }
    *ret = s;
    return 0;
}

int watch_state_save(const WatchState *s, Error *err)
{
    _cleanup_(freep) char *path = state_path();
    _cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
    _cleanup_(freep) char *text = NULL;
    char at[TIMESTAMP_SIZE];

    if (!path || !o ||
        (s->last_check > 0 && json_add_string(o, "lastCheckAt", timestamp_format(s->last_check, at)) < 0) ||
        json_add_item(o, "services", cJSON_Duplicate(s->entries, 1)) < 0 ||
        (s->halted && json_add_item(o, "halted", cJSON_Duplicate(s->halted, 1)) < 0) || !(text = json_print(o)))
        return no_memory(err);
    return file_write_atomic(path, text, strlen(text), 0600, (uid_t) -1, (gid_t) -1, err);
}

cJSON *watch_state_entry(const WatchState *s, const char *service)
{
    cJSON *entry;

    cJSON_ArrayForEach(entry, s->entries)
        if (str_equal(json_string(entry, "service"), service))
            return entry;
    return NULL;
}

static void drop(cJSON *entry, const char *key)
{
    cJSON_DeleteItemFromObjectCaseSensitive(entry, key);
}

static int put_string(cJSON *entry, const char *key, const char *value)
{
    drop(entry, key);
    return json_add_string(entry, key, value);
}

static int put_bool(cJSON *entry, const char *key, bool value)
{
    drop(entry, key);
    return value ? json_add_bool(entry, key, true) : 0;
}

static int put_time(cJSON *entry, const char *key, usec_t at)
{
    char text[TIMESTAMP_SIZE];

    return put_string(entry, key, timestamp_format(at, text));
}

static int put_error(cJSON *entry, const cJSON *error)
{
    drop(entry, "error");
    return cJSON_IsObject(error) ? json_add_item(entry, "error", cJSON_Duplicate(error, 1)) : 0;
}

static void drop_news(cJSON *entry)
{
    static const char *const keys[] = { "digest", "newImageId", "seenAt", "byHand", "tries", "retryAt", "error" };

    for (size_t i = 0; i < ELEMENTSOF(keys); i++)
        drop(entry, keys[i]);
}

/* What the tag meant when the cloud's order was carried out is known at the first look behind it. */
static int follow_order(cJSON *entry, const char *ordered)
{
    if (str_equal(json_string(entry, "ordered"), ordered))
        return 0;
    drop(entry, "turnedAway");
    return put_string(entry, "ordered", ordered);
}

static int note_turned_away(cJSON *entry, const char *digest)
{
    return json_string(entry, "ordered") && !json_string(entry, "turnedAway") ? put_string(entry, "turnedAway", digest)
                                                                              : 0;
}

static bool is_halted(const WatchState *s, const char *digest)
{
    const cJSON *halted;

    cJSON_ArrayForEach(halted, s->halted)
        if (digest && str_equal(cJSON_GetStringValue(halted), digest))
            return true;
    return false;
}

/* Takes over what was known of the service. */
static cJSON *make_entry(WatchState *s, const WatchTarget *t, const cJSON *service)
{
    const char *name = json_string(service, "name"), *image = json_string(service, "image");
    const char *image_id = json_string(service, "imageId");
    const cJSON *known = watch_state_entry(s, name);
    bool same = known && str_equal(json_string(known, "image"), image) &&
                str_equal(json_string(known, "source"), watch_source_to_string(t->source));
    _cleanup_(cJSON_Deletep) cJSON *entry = same ? cJSON_Duplicate(known, 1) : cJSON_CreateObject();

    if (same && !str_equal(json_string(known, "imageId"), image_id)) {
        drop_news(entry);
        drop(entry, "state");
        same = false;
    }
    /* what was just deployed is what its image's name means */
    if (entry && !same && put_string(entry, "nameImageId", image_id) < 0)
        return NULL;
    if (!entry || follow_order(entry, json_string(service, "ordered")) < 0)
        return NULL;
    if (put_string(entry, "service", name) < 0 || put_string(entry, "image", image) < 0 ||
        put_string(entry, "source", watch_source_to_string(t->source)) < 0 || put_string(entry, "why", t->why) < 0 ||
        put_bool(entry, "monitorOnly", t->monitor_only) < 0 ||
        put_bool(entry, "halted", is_halted(s, json_string(entry, "digest"))) < 0 ||
        put_string(entry, "imageId", image_id) < 0 ||
        (!json_string(entry, "state") && json_add_string(entry, "state", "unknown") < 0))
        return NULL;
    return TAKE_PTR(entry);
}

int watch_state_note_halted(WatchState *s, const cJSON *digests)
{
    cJSON *copy;

    if (s->halted ? cJSON_Compare(s->halted, digests, true) : cJSON_GetArraySize(digests) == 0)
        return 0;
    copy = cJSON_Duplicate(digests, 1);
    if (!copy)
        return -ENOMEM;
    cJSON_Delete(s->halted);
    s->halted = copy;
    return 1;
}

int watch_state_follow(WatchState *s, const WatchConfig *c, const cJSON *current)
{
    _cleanup_(cJSON_Deletep) cJSON *entries = cJSON_CreateArray();
    const cJSON *service;

    if (!entries)
        return -ENOMEM;
    cJSON_ArrayForEach(service, cJSON_GetObjectItemCaseSensitive(current, "services")) {
        _cleanup_(watch_target_done) WatchTarget t = {};

        if (!json_string(service, "name"))
            continue;
        if (watch_target_of(c, service, &t) < 0 || json_append(entries, make_entry(s, &t, service)) < 0)
            return -ENOMEM;
    }
    cJSON_Delete(s->entries);
    s->entries = TAKE_PTR(entries);
    return 0;
}

static int note_news(cJSON *entry, const char *digest, const char *image_id, bool by_hand, usec_t now)
{
    bool known = str_equal(json_string(entry, "state"), "new") && str_equal(json_string(entry, "digest"), digest) &&
                 str_equal(json_string(entry, "newImageId"), image_id);

    if (!known) {
        drop_news(entry);
        if (put_time(entry, "seenAt", now) < 0)
            return -ENOMEM;
    }
    return put_string(entry, "state", "new") < 0 || put_string(entry, "digest", digest) < 0 ||
                   put_string(entry, "newImageId", image_id) < 0 || put_bool(entry, "byHand", by_hand) < 0
               ? -ENOMEM
               : 0;
}

static int note_current(cJSON *entry)
{
    drop_news(entry);
    return put_string(entry, "state", "current");
}

int watch_state_note_inspection(cJSON *entry, const cJSON *seen, usec_t now)
{
    const char *before = json_string(entry, "nameImageId"), *means = json_string(seen, "nameImageId");
    const char *runs = json_string(entry, "imageId"), *source = json_string(entry, "source");
    bool differs = means && runs && !str_equal(means, runs), by_hand = differs && before && !str_equal(before, means);
    int r = 0;

    if (str_equal(source, "local") && put_time(entry, "checkedAt", now) < 0)
        return -ENOMEM;
    if (str_equal(source, "local"))
        r = differs ? note_news(entry, NULL, means, false, now) : note_current(entry);
    else if (str_equal(source, "registry") && by_hand)
        r = note_news(entry, NULL, means, true, now);
    return r == 0 ? put_string(entry, "nameImageId", means) : r;
}

void watch_state_forget_names(WatchState *s)
{
    cJSON *entry;

    cJSON_ArrayForEach(entry, s->entries)
        drop(entry, "nameImageId");
}

static unsigned tries_of(const cJSON *entry)
{
    const cJSON *n = cJSON_GetObjectItemCaseSensitive(entry, "tries");

    return cJSON_IsNumber(n) && n->valueint > 0 ? (unsigned) n->valueint : 0;
}

static int put_off(cJSON *entry, const WatchConfig *c, usec_t at_least, usec_t now)
{
    usec_t delay = watch_retry_delay(c, tries_of(entry));
    int tries = (int) tries_of(entry) + 1;

    drop(entry, "tries");
    return json_add_int(entry, "tries", tries) < 0
               ? -ENOMEM
               : put_time(entry, "retryAt", now + (delay > at_least ? delay : at_least));
}

/* It stays what it was known to be: that a registry cannot be asked now takes nothing back. */
static int note_unknown(cJSON *entry, const WatchConfig *c, const cJSON *answer, usec_t now)
{
    uint64_t seconds = 0;
    int r = put_error(entry, cJSON_GetObjectItemCaseSensitive(answer, "error"));

    if (r < 0 || !json_bool(answer, "later", false))
        return r;
    if (json_u64(answer, "retryAfterSeconds", &seconds) < 0 || seconds > c->interval / USEC_PER_SEC)
        seconds = 0;
    return put_off(entry, c, seconds * USEC_PER_SEC, now);
}

int watch_state_note_check(cJSON *entry, const WatchConfig *c, const cJSON *answer, usec_t now)
{
    const char *state = json_string(answer, "state"), *id = json_string(answer, "newImageId");
    bool by_hand = json_bool(entry, "byHand", false);

    if (str_equal(state, "unknown"))
        return note_unknown(entry, c, answer, now);
    if (put_time(entry, "checkedAt", now) < 0)
        return -ENOMEM;
    if (str_equal(state, "new")) {
        drop(entry, "error");
        if (note_turned_away(entry, json_string(answer, "digest")) < 0)
            return -ENOMEM;
        by_hand = by_hand && str_equal(json_string(entry, "newImageId"), id);
        return note_news(entry, json_string(answer, "digest"), id, by_hand, now);
    }
    if (note_turned_away(entry, "none") < 0)
        return -ENOMEM;
    return str_equal(state, "current") && !by_hand ? note_current(entry) : 0;
}

int watch_state_note_try(cJSON *entry, const WatchConfig *c, usec_t now)
{
    return put_off(entry, c, 0, now);
}

int watch_state_note_result(cJSON *entry, const cJSON *result)
{
    const cJSON *item;

    if (!str_equal(json_string(result, "outcome"), "done"))
        return put_error(entry, cJSON_GetObjectItemCaseSensitive(result, "error"));
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(result, "updates"))
        if (str_equal(json_string(item, "service"), json_string(entry, "service")) &&
            put_string(entry, "imageId", json_string(item, "imageId")) < 0)
            return -ENOMEM;
    return note_current(entry);
}

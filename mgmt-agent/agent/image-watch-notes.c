/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/agent/image-watch-notes.h"

#include <errno.h>
#include <string.h>

#include "lib/base/strv.h"
#include "mgmt-agent/state/failure-kind.h"

static const JsonField sample_fields[] = {
    { JSON_FIELD(WatchSample, service, "service") },        { JSON_FIELD(WatchSample, id, "id") },
    { JSON_FIELD(WatchSample, image_id, "imageId") },       { JSON_FIELD(WatchSample, state, "state") },
    { JSON_FIELD(WatchSample, static_dir, "staticDir") },   { JSON_FIELD(WatchSample, pid, "pid") },
    { JSON_FIELD(WatchSample, start_ticks, "startTicks") }, { JSON_FIELD(WatchSample, name_image_id, "nameImageId") },
    { JSON_FIELD(WatchSample, hook_status, "hookStatus") }, {},
};
static const JsonType sample_type = JSON_TYPE(WatchSample, sample_fields);

static const JsonField samples_fields[] = {
    { JSON_LIST_FIELD(WatchSamples, services, "services", &sample_type) },
    {},
};
static const JsonType samples_type = JSON_TYPE(WatchSamples, samples_fields);

int watch_samples_read(const cJSON *message, WatchSamples *ret)
{
    return json_read(message, &samples_type, ret);
}

void watch_samples_done(WatchSamples *s)
{
    json_done(&samples_type, s);
}

const WatchSample *watch_samples_find(const WatchSamples *s, const char *service)
{
    for (size_t i = 0; i < s->n_services; i++)
        if (str_equal(s->services[i].service, service))
            return &s->services[i];
    return NULL;
}

static int note_error(WatchEntry *e, const cJSON *error)
{
    cJSON_Delete(e->error);
    e->error = cJSON_IsObject(error) ? cJSON_Duplicate(error, 1) : NULL;
    return e->error || !cJSON_IsObject(error) ? 0 : -ENOMEM;
}

static void drop(char **text)
{
    free(*text);
    *text = NULL;
}

static void drop_news(WatchEntry *e)
{
    drop(&e->digest);
    drop(&e->new_image_id);
    drop(&e->skipped);
    drop(&e->older);
    e->seen_at = e->retry_at = e->older_seen_at = 0;
    e->by_hand = false;
    e->tries = 0;
    (void) note_error(e, NULL);
}

/* What the tag meant when the cloud's order was carried out is known at the first look behind it. */
static int follow_order(WatchEntry *e, const char *ordered)
{
    if (str_equal(e->ordered, ordered))
        return 0;
    drop(&e->turned_away);
    return json_set(&e->ordered, ordered);
}

static int note_turned_away(WatchEntry *e, const char *digest)
{
    return e->ordered && !e->turned_away ? json_set(&e->turned_away, digest) : 0;
}

/* Takes over what was known of the service. */
static int make_entry(const WatchState *s, const WatchTarget *t, const CurrentService *service, WatchEntry *e)
{
    const WatchEntry *known = watch_state_entry(s, service->name);
    bool same = known && str_equal(known->image, service->image) && known->source == t->source;

    if (same && watch_entry_copy(known, e) < 0)
        return -ENOMEM;
    if (same && !str_equal(known->image_id, service->image_id)) {
        drop_news(e);
        e->status = WATCH_UNKNOWN;
        same = false;
    }
    /* what was just deployed is what its image's name means */
    if (!same && json_set(&e->name_image_id, service->image_id) < 0)
        return -ENOMEM;
    e->source = t->source;
    e->monitor_only = t->monitor_only;
    e->halted = e->digest && strv_contains(s->halted, e->digest);
    return follow_order(e, service->ordered) < 0 || json_set(&e->service, service->name) < 0 ||
                   json_set(&e->image, service->image) < 0 || json_set(&e->why, t->why) < 0 ||
                   json_set(&e->image_id, service->image_id) < 0
               ? -ENOMEM
               : 0;
}

static int follow_service(const WatchState *s, const WatchConfig *c, const CurrentService *service, WatchEntry *ret)
{
    _cleanup_(watch_target_done) WatchTarget t = {};

    return watch_target_of(c, service, &t) < 0 ? -ENOMEM : make_entry(s, &t, service, ret);
}

int watch_state_follow(WatchState *s, const WatchConfig *c, const Current *current)
{
    WatchState next = { .entries = calloc(current ? current->n_services + 1 : 1, sizeof(*next.entries)) };
    int r = next.entries ? 0 : -ENOMEM;

    for (size_t i = 0; r == 0 && current && i < current->n_services; i++)
        if (current->services[i].name)
            r = follow_service(s, c, &current->services[i], &next.entries[next.n_entries++]);
    if (r == 0) {
        WatchState old = { .entries = s->entries, .n_entries = s->n_entries };

        s->entries = next.entries;
        s->n_entries = next.n_entries;
        next = old;
    }
    watch_state_done(&next);
    return r;
}

int watch_state_note_halted(WatchState *s, const cJSON *digests)
{
    _cleanup_(strv_freep) char **halted = NULL;
    const cJSON *digest;
    bool same = true;

    cJSON_ArrayForEach(digest, digests) {
        if (!cJSON_IsString(digest))
            continue;
        same = same && strv_contains(s->halted, digest->valuestring);
        if (strv_add(&halted, digest->valuestring) < 0)
            return -ENOMEM;
    }
    if (same && strv_length(halted) == strv_length(s->halted))
        return 0;
    strv_free(s->halted);
    s->halted = TAKE_PTR(halted);
    return 1;
}

static int note_news(WatchEntry *e, const char *digest, const char *image_id, bool by_hand, usec_t now)
{
    if (e->status != WATCH_NEW || !str_equal(e->digest, digest) || !str_equal(e->new_image_id, image_id)) {
        bool moved = e->status == WATCH_NEW && e->digest && digest && !str_equal(e->digest, digest);
        usec_t older_seen_at = e->older ? e->older_seen_at : e->seen_at;
        /* the first that waits stays: of a tag that moves every day none would ever be old enough */
        _cleanup_(freep) char *older = e->older ? TAKE_PTR(e->older) : moved ? TAKE_PTR(e->digest) : NULL;

        drop_news(e);
        e->seen_at = older && str_equal(older, digest) ? older_seen_at : now;
        if (older && digest && !str_equal(older, digest)) {
            e->older = TAKE_PTR(older);
            e->older_seen_at = older_seen_at;
        }
    }
    e->status = WATCH_NEW;
    e->by_hand = by_hand;
    return json_set(&e->digest, digest) < 0 ? -ENOMEM : json_set(&e->new_image_id, image_id);
}

const char *watch_entry_pick(const WatchEntry *e, char *const *halted, usec_t cool_down, usec_t now,
                             usec_t *ret_seen_at)
{
    /* one that its publisher has replaced may be a bad one: what came behind it gets its own time first */
    bool old_enough = e->older && e->older_seen_at <= now && (now - e->older_seen_at) / 2 >= cool_down;

    *ret_seen_at = e->seen_at;
    if (cool_down == 0 || e->by_hand || !old_enough || now - e->seen_at >= cool_down ||
        str_equal(e->older, e->turned_away) || strv_contains(halted, e->older))
        return e->by_hand ? NULL : e->digest;
    *ret_seen_at = e->older_seen_at;
    return e->older;
}

static void note_current(WatchEntry *e)
{
    drop_news(e);
    e->status = WATCH_CURRENT;
}

/* Where the box's own meaning counts, an image that was made anew is not pulled, and is used. */
static bool was_pulled(const WatchEntry *e, const WatchSamples *found)
{
    const WatchSample *seen = e->source == WATCH_LOCAL ? NULL : watch_samples_find(found, e->service);

    return seen && seen->name_image_id && e->name_image_id && !str_equal(seen->name_image_id, e->name_image_id);
}

size_t watch_count_pulled(const WatchState *s, const WatchSamples *found)
{
    size_t n = 0;

    for (size_t i = 0; i < s->n_entries; i++) {
        bool counts = was_pulled(&s->entries[i], found);

        for (size_t j = 0; j < i && counts; j++)
            counts = !str_equal(s->entries[j].image, s->entries[i].image) || !was_pulled(&s->entries[j], found);
        n += counts;
    }
    return n;
}

int watch_entry_note_inspection(WatchEntry *e, const WatchSample *seen, bool named, usec_t now)
{
    const char *before = e->name_image_id, *means = seen->name_image_id;
    bool differs = means && e->image_id && !str_equal(means, e->image_id);
    int r = 0;

    if (e->source == WATCH_LOCAL) {
        e->checked_at = now;
        if (differs)
            r = note_news(e, NULL, means, false, now);
        else
            note_current(e);
    } else if (e->source == WATCH_REGISTRY && named && differs && before && !str_equal(before, means)) {
        r = note_news(e, NULL, means, true, now);
    }
    return r == 0 ? json_set(&e->name_image_id, means) : r;
}

void watch_state_forget_names(WatchState *s)
{
    for (size_t i = 0; i < s->n_entries; i++)
        drop(&s->entries[i].name_image_id);
}

static void put_off(WatchEntry *e, const WatchConfig *c, usec_t at_least, usec_t now)
{
    usec_t delay = watch_retry_delay(c, e->tries);

    e->tries++;
    e->retry_at = now + (delay > at_least ? delay : at_least);
}

/* The tag is gone, or means nothing that could run here: what it meant before is not wanted any more. */
static bool is_withdrawn(const cJSON *error)
{
    return str_equal(json_string(error, "id"), "registry.not-found") ||
           str_equal(json_string(error, "id"), "registry.no-platform");
}

/* It stays what it was known to be: that a registry cannot be asked now takes nothing back. */
static int note_unknown(WatchEntry *e, const WatchConfig *c, const cJSON *answer, usec_t now)
{
    const cJSON *error = cJSON_GetObjectItemCaseSensitive(answer, "error");
    uint64_t seconds = 0;

    if (json_bool(answer, "later", false)) {
        (void) json_u64(answer, "retryAfterSeconds", &seconds);
        if (seconds > WATCH_QUIET_MAX_USEC / USEC_PER_SEC)
            seconds = WATCH_QUIET_MAX_USEC / USEC_PER_SEC;
        put_off(e, c, seconds * USEC_PER_SEC, now);
        e->quiet_until = seconds > 0 ? now + seconds * USEC_PER_SEC : 0;
    } else if (e->status == WATCH_NEW && !e->by_hand && is_withdrawn(error)) {
        drop_news(e);
        e->status = WATCH_UNKNOWN;
    }
    return note_error(e, error);
}

int watch_entry_note_check(WatchEntry *e, const WatchConfig *c, const cJSON *answer, usec_t now)
{
    const char *state = json_string(answer, "state"), *digest = json_string(answer, "digest");
    const char *id = json_string(answer, "newImageId");

    if (str_equal(state, "unknown"))
        return note_unknown(e, c, answer, now);
    e->checked_at = now;
    e->quiet_until = 0;
    if (str_equal(state, "new")) {
        (void) note_error(e, NULL);
        return note_turned_away(e, digest) < 0
                   ? -ENOMEM
                   : note_news(e, digest, id, e->by_hand && str_equal(e->new_image_id, id), now);
    }
    if (str_equal(state, "current") && !e->by_hand)
        note_current(e);
    return note_turned_away(e, "none");
}

void watch_entry_note_skipped(WatchEntry *e, const WatchConfig *c, const char *why, usec_t now)
{
    drop(&e->skipped);
    e->skipped = strdup(why); /* without memory it is just "later" */
    put_off(e, c, 0, now);
}

void watch_entry_note_try(WatchEntry *e, const WatchConfig *c, usec_t now)
{
    drop(&e->skipped);
    put_off(e, c, 0, now);
}

bool watch_entry_has_same_news(const WatchEntry *a, const WatchEntry *b)
{
    return str_equal(a->image, b->image) && str_equal(a->digest, b->digest) &&
           str_equal(a->new_image_id, b->new_image_id) && str_equal(a->older, b->older);
}

/* It says nothing against the image that was to be taken, which only has to wait. */
static bool passes(const char *error_id)
{
    return failure_kind(error_id) == FAILURE_PUT_OFF && !str_equal(error_id, "update.failed-before");
}

int watch_entry_note_result(WatchEntry *e, const cJSON *result)
{
    const cJSON *item, *error = cJSON_GetObjectItemCaseSensitive(result, "error");

    if (!str_equal(json_string(result, "outcome"), "done")) {
        if (!passes(json_string(error, "id")))
            drop(&e->older); /* a registry keeps no digest for ever that no tag means */
        return note_error(e, error);
    }
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(result, "updates"))
        if (str_equal(json_string(item, "service"), e->service) &&
            json_set(&e->image_id, json_string(item, "imageId")) < 0)
            return -ENOMEM;
    note_current(e);
    return 0;
}

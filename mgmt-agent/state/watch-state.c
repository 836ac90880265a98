/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/state/watch-state.h"

#include "lib/base/strv.h"
#include "mgmt-agent/state/state-file.h"

#define UPDATES_FILE "updates.json"

static const char *const source_names[] = {
    [WATCH_NOT] = "no",
    [WATCH_REGISTRY] = "registry",
    [WATCH_LOCAL] = "local",
    NULL,
};
static const char *const status_names[] = {
    [WATCH_UNKNOWN] = "unknown",
    [WATCH_CURRENT] = "current",
    [WATCH_NEW] = "new",
    NULL,
};

static const JsonField entry_fields[] = {
    { JSON_FIELD(WatchEntry, service, "service") },
    { JSON_FIELD(WatchEntry, image, "image") },
    { JSON_NAME_FIELD(WatchEntry, source, "source", source_names) },
    { JSON_FIELD(WatchEntry, why, "why") },
    { JSON_FIELD(WatchEntry, monitor_only, "monitorOnly") },
    { JSON_FIELD(WatchEntry, image_id, "imageId") },
    { JSON_FIELD(WatchEntry, name_image_id, "nameImageId") },
    { JSON_NAME_FIELD(WatchEntry, status, "state", status_names) },
    { JSON_TIME_FIELD(WatchEntry, checked_at, "checkedAt") },
    { JSON_FIELD(WatchEntry, digest, "digest") },
    { JSON_FIELD(WatchEntry, new_image_id, "newImageId") },
    { JSON_TIME_FIELD(WatchEntry, seen_at, "seenAt") },
    { JSON_FIELD(WatchEntry, older, "olderDigest") },
    { JSON_TIME_FIELD(WatchEntry, older_seen_at, "olderSeenAt") },
    { JSON_FIELD(WatchEntry, by_hand, "byHand") },
    { JSON_FIELD(WatchEntry, tries, "tries") },
    { JSON_TIME_FIELD(WatchEntry, retry_at, "retryAt") },
    { JSON_TIME_FIELD(WatchEntry, quiet_until, "quietUntil") },
    { JSON_FIELD(WatchEntry, skipped, "skipped") },
    { JSON_FIELD(WatchEntry, error, "error") },
    { JSON_FIELD(WatchEntry, ordered, "ordered") },
    { JSON_FIELD(WatchEntry, turned_away, "turnedAway") },
    { JSON_FIELD(WatchEntry, halted, "halted") },
    { JSON_REST_FIELD(WatchEntry, rest) },
    {},
};
static const JsonType entry_type = JSON_TYPE(WatchEntry, entry_fields);

static const JsonField state_fields[] = {
    { JSON_TIME_FIELD(WatchState, last_check, "lastCheckAt") },
    { JSON_LIST_FIELD(WatchState, entries, "services", &entry_type) },
    { JSON_FIELD(WatchState, halted, "halted") },
    { JSON_REST_FIELD(WatchState, rest) },
    {},
};
static const JsonType state_type = JSON_TYPE(WatchState, state_fields);

void watch_state_load(WatchState *ret)
{
    if (state_load(UPDATES_FILE, &state_type, ret, NULL) < 0)
        watch_state_done(ret);
}

int watch_state_save(const WatchState *s, Error *err)
{
    return state_save(UPDATES_FILE, &state_type, s, err);
}

void watch_state_done(WatchState *s)
{
    json_done(&state_type, s);
}

WatchEntry *watch_state_entry(const WatchState *s, const char *service)
{
    for (size_t i = 0; service && i < s->n_entries; i++)
        if (str_equal(s->entries[i].service, service))
            return &s->entries[i];
    return NULL;
}

int watch_entry_copy(const WatchEntry *from, WatchEntry *ret)
{
    return json_copy(&entry_type, from, ret);
}

cJSON *watch_entry_to_json(const WatchEntry *e)
{
    return json_write(&entry_type, e);
}

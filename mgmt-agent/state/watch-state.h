/* SPDX-License-Identifier: MIT */
/* updates.json: what the watcher remembers, with one entry for each service of current.json. */
#pragma once

#include "lib/data/json-fields.h"

typedef enum WatchSource {
    WATCH_NOT,
    WATCH_REGISTRY, /* news is another digest there */
    WATCH_LOCAL,    /* news is another meaning of the image's name on this box */
} WatchSource;

typedef enum WatchStatus {
    WATCH_UNKNOWN,
    WATCH_CURRENT,
    WATCH_NEW,
} WatchStatus;

typedef struct WatchEntry {
    char *service, *image;
    WatchSource source;
    char *why; /* it is not watched */
    bool monitor_only;
    char *image_id;      /* what runs */
    char *name_image_id; /* what the image's name meant on this box at the last look */
    WatchStatus status;
    usec_t checked_at;
    char *digest, *new_image_id; /* the news */
    usec_t seen_at;              /* since when it is known */
    char *older; /* a digest that the tag meant before the news, and that was news as well: it waits for its age */
    usec_t older_seen_at;
    bool by_hand; /* somebody has pulled it on the box */
    unsigned tries;
    usec_t retry_at;
    usec_t quiet_until; /* its registry does not want to be asked before (Retry-After) */
    char *skipped;      /* why the news were not taken at the last try, when that is not the image's fault */
    cJSON *error;
    char *ordered;     /* the digest that the cloud ordered last */
    char *turned_away; /* what the tag meant instead at the first look behind that; "none": the same */
    bool halted;       /* a rollout has halted with the news */
    cJSON *rest;
} WatchEntry;

typedef struct WatchState {
    usec_t last_check; /* wall clock; 0: never */
    WatchEntry *entries;
    size_t n_entries;
    char **halted; /* digests that rollouts have halted with */
    cJSON *rest;
} WatchState;

/* A file that cannot be read counts as empty: then everything is asked again. */
void watch_state_load(WatchState *ret);
int watch_state_save(const WatchState *s, Error *err) _must_check_;
void watch_state_done(WatchState *s);

WatchEntry *watch_state_entry(const WatchState *s, const char *service);
int watch_entry_copy(const WatchEntry *from, WatchEntry *ret) _must_check_;
/* As in the file; NULL when out of memory. */
cJSON *watch_entry_to_json(const WatchEntry *e);

/* SPDX-License-Identifier: MIT */
/* What events do to the watcher's entries. */
#pragma once

#include "mgmt-agent/agent/image-watch-policy.h"

/* One service of a worker.inspect (mgmt-agent/worker/jobs/inspect.h). */
typedef struct WatchSample {
    char *service, *id, *image_id, *state, *static_dir;
    int pid;
    uint64_t start_ticks;
    char *name_image_id; /* what the image's name means on this box */
    int hook_status;
} WatchSample;

typedef struct WatchSamples {
    WatchSample *services;
    size_t n_services;
} WatchSamples;

int watch_samples_read(const cJSON *message, WatchSamples *ret) _must_check_;
void watch_samples_done(WatchSamples *s);
const WatchSample *watch_samples_find(const WatchSamples *s, const char *service);

/* Brings the entries into line with what is deployed and with the settings. What is known of a service is kept as long as its
 * image's name and what it runs stay the same. `current` may be NULL. */
int watch_state_follow(WatchState *s, const WatchConfig *c, const Current *current) _must_check_;

/* How many names of images that come from registries mean another one than at the last look: before the entries follow what is
 * deployed. */
size_t watch_count_pulled(const WatchState *s, const WatchSamples *found);
/* The digest to take of the news, and since when it is known: where the newest is too young, the one before it that has
 * waited twice as long as it must. NULL: what the name means on this box. */
const char *watch_entry_pick(const WatchEntry *e, char *const *halted, usec_t cool_down, usec_t now,
                             usec_t *ret_seen_at);
/* Whether both services are to get one image, by whatever digest. */
bool watch_entry_has_same_news(const WatchEntry *a, const WatchEntry *b);
/* Sees what the image's name means: another image is news where the box's own meaning counts, and where somebody has given the name
 * another one since the last look. Not so when not it was `named`, but several were pulled at once: then the registry tells what is
 * news, as always. */
int watch_entry_note_inspection(WatchEntry *e, const WatchSample *seen, bool named, usec_t now) _must_check_;
/* After a change that was taken back, or gave a name that others share another meaning: what names mean at the next look is
 * not somebody's doing. */
void watch_state_forget_names(WatchState *s);

/* What the cloud says of halted rollouts, an array of digests, takes the place of what it said before. 1 when that is something
 * else. */
int watch_state_note_halted(WatchState *s, const cJSON *digests) _must_check_;

/* One image of a worker.check. */
int watch_entry_note_check(WatchEntry *e, const WatchConfig *c, const cJSON *answer, usec_t now) _must_check_;

/* Written down before an update begins, so that one that takes the agent with it is not begun again at once. */
void watch_entry_note_try(WatchEntry *e, const WatchConfig *c, usec_t now);
/* It was not begun, for a reason that is not the image's: in words. It is looked at again after a while. */
void watch_entry_note_skipped(WatchEntry *e, const WatchConfig *c, const char *why, usec_t now);
/* How it ended: a compose.result. */
int watch_entry_note_result(WatchEntry *e, const cJSON *result) _must_check_;

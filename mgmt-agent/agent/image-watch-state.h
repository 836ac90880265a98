/* SPDX-License-Identifier: MIT */
/* What the watcher remembers, in updates.json: {"lastCheckAt", "services": [entry, …]}, one entry for each service of
 * current.json, at most COMPOSE_SERVICES_MAX. An entry is {"service", "image", "source" (no, registry, local), "why",
 * "monitorOnly", "imageId", "nameImageId", "state" (unknown, current, new), "checkedAt", "digest", "newImageId", "seenAt",
 * "byHand", "tries", "retryAt", "error", "ordered", "turnedAway", "halted"}: the digest that the cloud ordered last, what the
 * tag meant instead at the first look behind that ("none": the same), and whether a rollout has halted with what is new.
 * "halted" beside them: the digests of which that holds. */
#pragma once

#include "mgmt-agent/agent/image-watch-policy.h"

typedef struct WatchState {
    usec_t last_check; /* wall clock; 0: never */
    cJSON *entries;
    cJSON *halted; /* array of digests; NULL: none */
} WatchState;

/* A file that cannot be read counts as empty: then everything is asked again. */
int watch_state_load(WatchState *ret, Error *err) _must_check_;
int watch_state_save(const WatchState *s, Error *err) _must_check_;
void watch_state_done(WatchState *s);

/* Brings the entries into line with what is deployed and with the settings. What is known of a service is kept as long as its
 * image's name and what it runs stay the same. `current` may be NULL. */
int watch_state_follow(WatchState *s, const WatchConfig *c, const cJSON *current) _must_check_;
cJSON *watch_state_entry(const WatchState *s, const char *service);

/* One service of a worker.inspect. Sees what the image's name means: another image is news where the box's own meaning counts, and
 * where somebody has given the name another one since the last look. */
int watch_state_note_inspection(cJSON *entry, const cJSON *seen, usec_t now) _must_check_;
/* After a change that was taken back, or gave a name that others share another meaning: what names mean at the next look is
 * not somebody's doing. */
void watch_state_forget_names(WatchState *s);

/* What the cloud says of halted rollouts takes the place of what it said before. 1 when that is something else. */
int watch_state_note_halted(WatchState *s, const cJSON *digests) _must_check_;

/* One image of a worker.check. */
int watch_state_note_check(cJSON *entry, const WatchConfig *c, const cJSON *answer, usec_t now) _must_check_;

/* Written down before an update begins, so that one that takes the agent with it is not begun again at once. */
int watch_state_note_try(cJSON *entry, const WatchConfig *c, usec_t now) _must_check_;
/* How it ended: a compose.result. */
int watch_state_note_result(cJSON *entry, const cJSON *result) _must_check_;

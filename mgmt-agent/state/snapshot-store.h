/* SPDX-License-Identifier: MIT */
/* What the box remembers: snapshots by version, the floor below which no version is taken, and the
 * history of results. All below AGENT_STATE_DIR, root only. */
#pragma once

#include "lib/base/clock.h"
#include "lib/data/json.h"

#define STORE_SNAPSHOTS_KEPT 5
#define STORE_HISTORY_MAX 200

/* A snapshot as it came (the compose.snapshot message). Durable when it returns. */
int store_save_snapshot(const char *version, const cJSON *snapshot, Error *err) _must_check_;
/* -ENOENT with snapshot.unknown. */
int store_load_snapshot(const char *version, cJSON **ret, Error *err) _must_check_;
/* Keeps the newest few and those named (current and previous). */
void store_prune_snapshots(const char *keep_a, const char *keep_b);

/* The digest of a snapshot's `bundle`, NULL when there is none; borrowed. bundle.bad-digest when it is none. */
int bundle_of_snapshot(const cJSON *snapshot, const char **ret, Error *err) _must_check_;

/* The versions whose snapshots are kept, newest first. -ENOMEM is the only failure. */
int store_list_snapshots(char ***ret) _must_check_;

/* The highest version that the cloud ever had accepted here; 0 at first. */
int store_load_floor(uint64_t *ret, Error *err) _must_check_;
int store_save_floor(uint64_t floor, Error *err) _must_check_;
/* The highest version whose snapshot is kept, for when the floor cannot be read; 0 when there is none. */
uint64_t store_highest_snapshot(void);
/* Whether a cloud's version may follow `floor`: higher, but not so high that few or none could follow it.
 * snapshot.older-version, snapshot.version-jump. */
int store_check_step(uint64_t version, uint64_t floor, Error *err) _must_check_;

/* history.jsonl: one compose.result a line, oldest first, cut to STORE_HISTORY_MAX. */
int store_add_history(const cJSON *result, Error *err) _must_check_;
/* The newest `limit`, newest first, as an array. */
int store_load_history(size_t limit, cJSON **ret, Error *err) _must_check_;

/* unacked.json: the result that the cloud has not acknowledged, or nothing (NULL). */
int store_save_unacked(const cJSON *result, Error *err) _must_check_;
int store_load_unacked(cJSON **ret, Error *err) _must_check_;

/* One digest over everything that decides what would be done with a compose text: the text, the files that come with it (their
 * digest, or NULL), secbox.env, policy.json. A missing file counts as empty. New hexadecimal string. */
int store_inputs_digest(const char *compose, const char *bundle, char **ret, Error *err) _must_check_;

/* Whether `version` may be a folder's name here: digits, or local-…; snapshot.bad-version otherwise. */
int store_check_version(const char *version, Error *err) _must_check_;

/* SPDX-License-Identifier: MIT */
/* Which images this box got because of us, and which of its images each snapshot ran with: only the former are ever removed,
 * and none of the latter while a rollback may return to it. pulled-images.json:
 * {"images": [{"imageId", "reference"}], "snapshots": {VERSION: [imageId, …]}} */
#pragma once

#include "lib/data/json.h"

/* Losing the file costs disk space: what it named is not removed any more. */
int pulled_load(cJSON **ret, Error *err) _must_check_;
int pulled_save(const cJSON *pulled, Error *err) _must_check_;
/* Where it cannot be kept true: what is not known to be ours, or not to be needed, is never removed. */
void pulled_forget(void);

/* In memory; 0 or -ENOMEM. */
int pulled_add_image(cJSON *pulled, const char *image_id, const char *reference) _must_check_;
/* `services` is that of current.json; replaces what was noted of that version. */
int pulled_note_snapshot(cJSON *pulled, const char *version, const cJSON *services) _must_check_;
/* Whether the image has only names that we have given it: pulled by digest, by `reference`, or kept below `keep`. */
bool pulled_is_nameless(const cJSON *names, const char *reference, const char *keep);

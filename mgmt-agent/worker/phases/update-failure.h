/* SPDX-License-Identifier: MIT */
/* What is remembered of an update that failed: an image that could not be proved is not tried again. */
#pragma once

#include "lib/base/error.h"
#include "mgmt-agent/state/journal.h"

/* Whether it failed by its images' own fault. */
bool update_is_to_blame(const Journal *j);
/* Remembers an image that could not be proved, before the journal forgets why it is rolled back. */
void update_note_failure(const Journal *j);
/* Whether a failed update of the box's own just comes again, and is not worth an entry in the history. */
bool update_is_put_off(const Journal *j, bool from_cloud, const Error *failure);

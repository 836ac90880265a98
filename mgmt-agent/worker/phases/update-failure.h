/* SPDX-License-Identifier: MIT */
/* What is remembered of an update that failed: an image that could not be proved is not tried again. */
#pragma once

#include "lib/base/error.h"
#include "mgmt-agent/state/journal.h"

/* Whether it failed by the fault of one of its images: not when a service failed that was not changed. */
bool update_is_to_blame(const Journal *j);
/* Whether it is the fault of this one of the journal's updates, if it is that of any. */
bool update_is_the_one(const Journal *j, const ImageUpdate *update);
/* Remembers what could not be proved, an image in a service, before the journal forgets why it is rolled back. Another service of
 * the same image may do well with it. */
void update_note_failure(const Journal *j);
/* Of an undo that is kept: the image that was taken back does not come again by itself. */
void update_note_undone(const Journal *j);
/* Whether a failed update of the box's own just comes again, and is not worth an entry in the history. */
bool update_is_put_off(const Journal *j, bool from_cloud, const Error *failure);

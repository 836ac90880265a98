/* SPDX-License-Identifier: MIT */
/* What is remembered of an update that failed: an image that could not be proved is not tried again. */
#pragma once

#include "mgmt-agent/worker/phases/deploy.h"

/* Whether it failed by its images' own fault. */
bool update_is_to_blame(const Deploy *d);
/* Remembers an image that could not be proved, before the journal forgets why it is rolled back. */
void update_note_failure(const Deploy *d);
/* Whether a failed update just comes again, and is not worth an entry in the history. */
bool update_is_put_off(const Deploy *d, const Error *failure);

/* SPDX-License-Identifier: MIT */
/* Which snapshot a rollback may go to, by the box's history: never one that was found bad. Pure. */
#pragma once

#include "lib/data/json.h"

/* `kind` of the result of a change that went back to an earlier snapshot. */
#define KIND_ROLLBACK "rollback"

/* `history` is that of store_load_history(): results, newest first. What is returned is borrowed from it. */

/* The result by which this version was found bad: it was tried last and rolled back, or somebody went back from its text since
 * it was applied last. NULL when nothing speaks against it. */
const cJSON *way_back_verdict(const cJSON *history, const char *version, const char *sha256);

/* The newest version among `kept` that ran before the text `here` was applied and was not found bad. `leaving` is the text that
 * is being left for it, or NULL. NULL when there is none. */
const char *way_back_find(const cJSON *history, const char *here, const char *leaving, char *const *kept);

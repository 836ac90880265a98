/* SPDX-License-Identifier: MIT */
/* What keeps two processes apart, and lets one follow the other: mgmt-agent's workers, which change what runs, and the
 * guard (`mgmt-worker guard`), which takes a change back when mgmt-agent does not. Nothing of this is needed to go on after
 * a crash; that is the journal's. */
#pragma once

#include <stdbool.h>

#include "lib/base/paths.h"
#include "lib/data/json.h"

/* There while something is being changed: mgmt-change-guard.path starts the guard by it, also after a boot. */
#define CHANGE_MARK_PATH AGENT_STATE_DIR "/change-pending"
/* Held by whoever changes what runs, or the journal; an empty file. */
#define CHANGE_LOCK_PATH AGENT_STATE_DIR "/change.lock"
/* The id of the change that the cloud has confirmed; on a memory file system, since the journal's disk may be full. */
#define CHANGE_CONFIRMED_PATH RUN_DIR "/change-confirmed"

/* An fcntl(2) lock: it ends with the process, whatever its children do, or when *ret_fd is closed. With `wait` it is waited
 * for, without it another holder is -EBUSY (change.locked). A process takes it once at a time. Other errors: change.lock. */
int change_lock(bool wait, int *ret_fd, Error *err) _must_check_;
/* Whether another process holds it now; false where that cannot be told. Not while this one holds it: it would lose it. */
bool change_is_locked(void);

/* Durable when it returns. On a full disk the reserve makes room. What was confirmed before counts no more: an id may come again.
 * `environment` is an array of "NAME=VALUE" without which the guard's podman would look elsewhere; NULL is none. */
int change_mark_set(const char *id, const cJSON *environment, Error *err) _must_check_;
/* That array: a new one, NULL when none was noted. */
cJSON *change_mark_environment(void);
int change_mark_clear(Error *err) _must_check_;

/* Read by the guard, and by an mgmt-agent that was started again before the commit could be written down. A note that fails costs
 * no more than what it was for: the change is taken back. */
void change_note_confirmed(const char *id);
bool change_is_confirmed(const char *id);

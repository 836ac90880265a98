/* SPDX-License-Identifier: MIT */
/* Until when a change may wait for its confirmation: the same answer for mgmt-agent and for the guard that stands in for it. */
#pragma once

#include <stdbool.h>

#include "mgmt-agent/state/journal.h"

/* How often a box may boot while a change waits: what the change brought may be the reason for the boots. */
#define CONFIRM_BOOTS_MAX 3
/* A line that was down already when the change began says nothing against it. The change waits for the line, but not for ever. */
#define CUT_OFF_HOLD_USEC USEC_PER_DAY
/* A tunnel that has just been cycled is not down. */
#define CUT_OFF_SINCE_USEC (60 * USEC_PER_SEC)

/* Since when (CLOCK_BOOTTIME) mgmt-link has no tunnel; USEC_INFINITY: it has one; TUNNEL_UNKNOWN: it does not say, since it has
 * just been started, after a boot maybe, or does not run. */
#define TUNNEL_UNKNOWN 0
usec_t tunnel_down_since(void);
/* Whether the tunnel has been down long enough to be no evidence against what begins now. */
bool tunnel_is_cut_off(usec_t down_since, usec_t now);

/* On this boot's CLOCK_BOOTTIME, for a journal of this boot. What is not known is no tunnel that has come up. */
usec_t confirm_deadline(const Journal *j, usec_t down_since);
/* Whether the time begins anew: after a boot, or when the line that was down when the change began is there for the first time. */
bool confirm_deadline_is_stale(const Journal *j, const char *boot_id, usec_t down_since);

/* Begins it anew in memory. `boot_id` is copied. -ENOMEM. */
int confirm_deadline_move(Journal *j, const char *boot_id, usec_t now) _must_check_;
/* Where it is stale: reads the journal again behind the lock, begins the time anew and writes it down. *j is what was read, also
 * where it says by now that nothing waits any more. -EBUSY (change.locked): somebody works on the change; other errors leave the
 * new time in memory alone, so that a full disk does not end the wait. */
int confirm_deadline_renew(Journal *j, Error *err) _must_check_;

/* SPDX-License-Identifier: MIT */
/* What the watcher decides: which services are watched and how, when it asks, and whether what it found may be taken now.
 * Pure: settings, labels, what is remembered and the time go in. */
#pragma once

#include "env/env-file.h"
#include "lib/base/maintenance-window.h"
#include "mgmt-agent/state/current.h"
#include "mgmt-agent/state/failed-images.h"
#include "mgmt-agent/state/watch-state.h"

#define WATCH_INTERVAL_DEFAULT_USEC USEC_PER_DAY
#define WATCH_SPREAD_MAX_USEC (15 * USEC_PER_MINUTE)

typedef struct WatchConfig {
    usec_t interval, cool_down;
    TimeWindow windows[TIME_WINDOWS_MAX];
    size_t n_windows;
    bool monitor_only, label_enable;
    char *scope; /* NULL: all */
} WatchConfig;

/* From both env files, either of which may be NULL; WATCHTOWER_POLL_INTERVAL of mgmt-agent.env counts before that of
 * secbox.env. A value that is not valid is env.bad-value, and nothing is guessed in its place. */
int watch_config_read(const EnvFile *agent, const EnvFile *secbox, WatchConfig *ret, Error *err) _must_check_;
void watch_config_done(WatchConfig *c);

typedef struct WatchTarget {
    WatchSource source;
    bool monitor_only;
    char *why; /* it is not watched; NULL when it is */
} WatchTarget;

/* -ENOMEM is the only failure. */
int watch_target_of(const WatchConfig *c, const CurrentService *service, WatchTarget *ret) _must_check_;
void watch_target_done(WatchTarget *t);

/* When all are asked next: an interval after the last time, plus a tenth of it at most (`random` says how much), so that the
 * boxes of a fleet do not come at once; after a start that is overdue only the latter. `last` 0: never. A last time that is in
 * the future counts as never: the clock was wrong then. */
usec_t watch_next_check(const WatchConfig *c, usec_t last, usec_t started, uint64_t random, usec_t now);

/* How long to leave alone what has failed `tries` times for a reason that may pass. */
usec_t watch_retry_delay(const WatchConfig *c, unsigned tries);

typedef enum WatchVerdict {
    WATCH_NOTHING, /* there is no news, or it is not for this box to take */
    WATCH_WAIT,    /* until *ret_at */
    WATCH_TAKE,
} WatchVerdict;

/* Retry-After of a registry counts up to this long; what is later is a clock that was set back. */
#define WATCH_QUIET_MAX_USEC USEC_PER_DAY
/* Whether its next try is yet to come. */
bool watch_is_put_off(const WatchConfig *c, const WatchEntry *e, usec_t now);
/* Whether its registry has said that it does not want to be asked now. */
bool watch_is_quiet(const WatchEntry *e, usec_t now);

/* *ret_why is what holds it back, lent by the entry: "monitor-only", "failed-before", "ordered" (the cloud's order turned away
 * from it), "halted" (a rollout has halted with it), "window", "unanswered" (its registry has just not said what the tag means
 * now), "later" or why the last try was not begun; NULL when nothing does. `order`: somebody has just asked for an update, so
 * that only what failed before, what is unanswered and what runs nowhere is held back. What was pulled by hand is held back by
 * "monitor-only" as well, and by nothing else. */
WatchVerdict watch_decide(const WatchConfig *c, const WatchEntry *e, const FailedImages *failed, bool order, usec_t now,
                          usec_t *ret_at, const char **ret_why);

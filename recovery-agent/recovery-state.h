/* SPDX-License-Identifier: MIT */
/* What recovery-agent remembers across restarts, in its own folder: the configuration that worked, where the gateway
 * was, a time that has certainly passed, what was tried. Written rarely and durably; letting people in needs none of
 * it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/error.h"
#include "recovery-agent/recovery-config.h"
#include "recovery-agent/ladder.h"

#define STATE_ADDRESSES_MAX 4

typedef struct State {
    char *folder;
    char *addresses[STATE_ADDRESSES_MAX + 1]; /* the last good ones, newest first; ends with NULL */
    uint64_t server_time;                     /* seconds since 1970 as the gateway last said, 0 = never */
    bool was_healthy, had_device;             /* at any time; the latter: a device tunnel that answered */
    Budget budget;
} State;

/* Makes the folder and reads what is there. A state that cannot be read counts as a budget that has just been spent.
 * -EIO: *err says what is lost; the state can be used. */
int state_load(State *s, const char *folder, const LadderTime *now, Error *err) _must_check_;
void state_done(State *s);
/* The text of state.json: a new string, NULL when out of memory. */
char *state_print(const State *s);

/* 1 when there is something new that is worth writing. */
int state_note_gateway(State *s, const char *address, uint64_t server_time);

/* The configuration that worked last. -ENOENT when there is none. The copy of the authorities is what ca_file names. */
int state_load_config(const State *s, Config *ret, Error *err) _must_check_;

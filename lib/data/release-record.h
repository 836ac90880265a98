/* SPDX-License-Identifier: MIT */
/* What is being done with the data plane's releases, or was done last: a journal, written durably before each step. */
#pragma once

#include <stdbool.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/data/json.h"

typedef enum ReleaseState {
    RELEASE_NONE,        /* nothing was ever done */
    RELEASE_STAGED,      /* the release is there; nothing has changed */
    RELEASE_SWITCHING,   /* the link is about to lead to it */
    RELEASE_PROVING,     /* it runs, and has to show that it is well */
    RELEASE_GOING_BACK,  /* the one before is being put back */
    RELEASE_CONFIRMED,   /* it stays */
    RELEASE_ROLLED_BACK, /* the one before runs again */
    RELEASE_FAILED,      /* nothing was changed */
    _RELEASE_STATES,
} ReleaseState;

typedef struct ReleaseRecord {
    int state; /* ReleaseState */
    char *id;
    char *from, *to;  /* as release_current() has them */
    char *boot;       /* in which this state was entered */
    char *why;        /* NULL: there is nothing to say */
    char *who;        /* has signed it; NULL: nobody had to */
    unsigned seconds; /* in which it has to prove itself */
    bool tunnel;      /* the device tunnel was up before, and has to come back */
    bool relay;       /* relay-client ran before, and has to run again */
    usec_t at;
    cJSON *rest;
} ReleaseRecord;

/* Without a file it is RELEASE_NONE. release.damaged */
int release_record_load(ReleaseRecord *ret, Error *err) _must_check_;
/* Durable when it returns; notes the boot and the time. */
int release_record_enter(ReleaseRecord *r, ReleaseState state, Error *err) _must_check_;
void release_record_done(ReleaseRecord *r);
cJSON *release_record_describe(const ReleaseRecord *r);
const char *release_state_name(int state);
/* Neither over nor none. */
bool release_record_is_open(const ReleaseRecord *r);

/* One process at a time: a descriptor that holds the lock until it is closed. -EBUSY release.busy */
int release_lock(Error *err) _must_check_;

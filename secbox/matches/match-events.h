/* SPDX-License-Identifier: MIT */
/* What the cloud is told of matches and motion: kinds and data of docs/wire-format.md. The same thing always has the same
 * clientId, whenever and however often it is told. Pure. */
#pragma once

#include <cjson/cJSON.h>

#include "lib/base/uuid.h"
#include "secbox/matches/sighting.h"

typedef struct MatchEvent {
    const char *kind;
    char client_id[UUID_SIZE];
    cJSON *data; /* owned */
    usec_t at;
} MatchEvent;

void match_event_done(MatchEvent *e);
/* `device` makes ids of two boxes differ whose Frigates count alike. -ENOMEM. */
int match_event_of_sighting(const Sighting *s, const char *device, MatchEvent *ret) _must_check_;
/* Of one that is over. */
int match_event_of_review(const ReviewNews *r, const char *device, MatchEvent *ret) _must_check_;

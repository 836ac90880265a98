/* SPDX-License-Identifier: MIT */
/* What becomes of Frigate's many readings of one car or person: guards are told of each at once; the cloud is told once, when it
 * has settled. Pure: the time is a parameter.
 *
 * A reading below MATCH_…_MIN is none. Of several texts the one with the most score in sum counts. It is sure when one reading
 * has MATCH_SURE, or Frigate calls the person so; the cloud is told what is sure, or was read MATCH_REPEATED times, or is what
 * Frigate keeps of an object that is gone. It has settled when it has stayed the same for MATCH_SETTLE, at the latest
 * MATCH_SETTLE_MAX after the first reading, and when the object is gone. */
#pragma once

#include "secbox/matches/sighting.h"

/* Frigate's own thresholds, where its configuration does not change them: below the first two a face is unknown, and a plate is
 * not found; from the last on they are recognised. */
#define MATCH_FACE_MIN 0.8
#define MATCH_PLATE_MIN 0.7
#define MATCH_SURE 0.9
#define MATCH_REPEATED 2
#define MATCH_SETTLE (3 * USEC_PER_SEC)
#define MATCH_SETTLE_MAX (10 * USEC_PER_SEC)
#define MATCH_TRACKS_MAX 512
/* After this long without news an object is forgotten, though nobody said that it is gone. */
#define MATCH_FORGET USEC_PER_HOUR
/* So long one that is gone is remembered, for readings that come late. */
#define MATCH_LATE USEC_PER_MINUTE

typedef struct MatchRules MatchRules;

typedef struct MatchRulesEvents {
    void (*on_seen)(const Sighting *s,
                    void *userdata); /* each text once, and again when it leads, and when it is sure */
    void (*on_settled)(const Sighting *s, void *userdata); /* once for each text of an object */
} MatchRulesEvents;

MatchRules *match_rules_new(const MatchRulesEvents *events, void *userdata);
MatchRules *match_rules_free(MatchRules *m);
DEFINE_CLEANUP(MatchRules, match_rules_free)

/* `now` is of a clock that never leaps. Where there are too many objects, one that is gone gives way, else the oldest. -ENOMEM. */
int match_rules_take(MatchRules *m, const ObjectNews *news, usec_t now) _must_check_;
/* Tells what has settled meanwhile, and returns when to look again; USEC_INFINITY: there is nothing to wait for. */
usec_t match_rules_tick(MatchRules *m, usec_t now);
/* What has settled before is told again, should it be heard of again. */
void match_rules_tell_again(MatchRules *m);
/* When the first of the objects began that are not gone (since 1970); USEC_INFINITY: there is none. */
usec_t match_rules_open_since(const MatchRules *m);

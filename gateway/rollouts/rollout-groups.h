/* SPDX-License-Identifier: MIT */
/* Which boxes get something new first. Pure: texts and labels in, groups out. */
#pragma once

#include <cjson/cJSON.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"

#define ROLLOUT_GROUPS_DEFAULT "canary=1,5%,25%,100%"

typedef struct RolloutGroup {
    char *name;        /* as it was given: "5%" */
    unsigned canaries; /* "canary=N" */
    unsigned share;    /* "N%", of ROLLOUT_WHOLE, cumulative over all boxes */
    char *key, *value; /* "label:K=V" */
} RolloutGroup;

typedef struct RolloutGroups {
    RolloutGroup *list;
    size_t n;
} RolloutGroups;

/* "canary=N" (N boxes labelled rollout=canary or, where no box is, the first N by hash), "label:K=V" (boxes
 * with this label) and "N%" (so many of all boxes, those of earlier groups counted; ever more), by comma.
 * Error id rollout.bad-groups. */
int rollout_groups_parse(const char *text, RolloutGroups *ret, Error *err) _must_check_;
void rollout_groups_done(RolloutGroups *g);

/* "2%" or "0.5%", at most two digits after the point, to ROLLOUT_WHOLE. -EINVAL. */
int rollout_share_parse(const char *text, unsigned *ret) _must_check_;

typedef struct RolloutCandidate {
    const char *id;
    const cJSON *labels; /* an object of strings, or NULL */
    uint64_t hash;
    int group; /* its index, -1: not part of the rollout */
} RolloutCandidate;

/* Sorts the boxes by a hash of rollout and box, which is the order they get their turn in, and gives each its
 * group: the same every time, and another order in every rollout. 0 or -ENOMEM. */
int rollout_assign(const RolloutGroups *groups, const char *rollout, RolloutCandidate *boxes, size_t n) _must_check_;

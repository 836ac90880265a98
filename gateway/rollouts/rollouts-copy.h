/* SPDX-License-Identifier: MIT */
/* The copy of the open rollouts in memory: how it is made and made anew, and when it is looked at. */
#pragma once

#include "gateway/deployments/deployments.h"

typedef struct Rollouts Rollouts;

/* What requests wait for: the rollout's id. */
#define ROLLOUT_TOPIC "rollout/%s"

/* Make the copy from the rows of sql_rollouts_open(), then of sql_rollout_boxes(). */
int rollouts_adopt(Rollouts *rs, const StoreRows *rows) _must_check_;
int rollouts_adopt_boxes(Rollouts *rs, const StoreRows *rows) _must_check_;

/* Somebody changed the database: makes the copy anew. */
void rollouts_reload(Rollouts *rs);
/* Something happened that a rollout may wait for; all of them are looked at soon. */
void rollouts_wake(Rollouts *rs);

/* SPDX-License-Identifier: MIT */
/* Rollouts at work: which box gets its turn when, and what follows from what the boxes say. The database holds
 * everything; memory holds a copy of what is open and of what still waits for boxes that are offline, and every
 * statement that changes something names what it starts from. So a restart, a kill or a lost database changes
 * nothing, and nothing is done twice. */
#pragma once

#include "gateway/rollouts/rollout-plan.h"
#include "gateway/gateway.h"

typedef struct Rollouts Rollouts;

Rollouts *rollouts_new(Gateway *g);
Rollouts *rollouts_free(Rollouts *rs);

/* Make the copy from sql_rollouts_open(), then sql_rollout_boxes(). */
int rollouts_adopt(Gateway *g, const StoreRows *rows) _must_check_;
int rollouts_adopt_boxes(Gateway *g, const StoreRows *rows) _must_check_;

/* Somebody changed the database: makes the copy anew. */
void rollouts_reload(Gateway *g);
/* Now and then: looks at everything, and tries again what could not be loaded. */
void rollouts_sweep(Gateway *g);
/* Something happened that a rollout may wait for; all of them are looked at soon. */
void rollouts_wake(Gateway *g);
/* Whether a rollout still sends to boxes. */
bool rollouts_is_sending(const Gateway *g, const char *rollout);

/* A deployment that was ordered is stored (0) or not. */
void rollouts_on_stored(Gateway *g, const char *rollout, const char *device, int r);
/* A deployment has ended, and the box's state with it: one of rollout_box_state_to_string(). */
void rollouts_on_end(Gateway *g, const char *rollout, const char *device, const char *state);

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

/* The two statements that the copy is made from, one after the other. */
#define ROLLOUTS_SQL                                                                                         \
    "SELECT r.id, r.kind = 'update', r.image, r.digest, r.service, r.compose, r.groups::text, r.halt_at,"    \
    " r.parallel, r.soak_seconds, r.offline_after, r.confirm_deadline, r.state, r.group_index, r.forgiven,"  \
    " extract(epoch FROM now() - r.soaking_since)::bigint FROM rollouts r WHERE r.state <> 'aborted'"        \
    " AND (r.state <> 'done' OR EXISTS (SELECT 1 FROM rollout_boxes b WHERE b.rollout = r.id"                \
    " AND b.state IN ('waiting', 'offline', 'sent'))) ORDER BY r.created_at"
#define ROLLOUT_BOXES_SQL                                                                                    \
    "SELECT b.rollout, b.device, b.group_index, b.state FROM rollout_boxes b JOIN rollouts r"                \
    " ON r.id = b.rollout WHERE r.state <> 'aborted' ORDER BY b.rollout, b.group_index, b.position"
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

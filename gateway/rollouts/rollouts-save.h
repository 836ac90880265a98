/* SPDX-License-Identifier: MIT */
/* Writing down what the gateway itself decides about rollouts, each decision with its audit entry in one transaction that
 * names the state it starts from. Each function writes one change, and sets the rollout's `query` when it could be queued
 * (else the next wake tries again). The copy changes when the database has. */
#pragma once

#include "gateway/rollouts/rollouts-copy-impl.h"

void rollout_save_event(Rollout *r, RolloutEvent event);
void rollout_save_away(Rollout *r, char *const *devices);
void rollout_save_skip(Rollout *r, RolloutBox *box, const Error *why);

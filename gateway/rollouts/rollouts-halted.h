/* SPDX-License-Identifier: MIT */
/* Boxes that follow a tag by themselves are told which images rollouts have halted with, so that they leave those alone. */
#pragma once

#include "gateway/rollouts/rollouts-copy.h"

/* Takes the rows of sql_rollouts_halted(), and tells every box when they have changed. */
int rollouts_adopt_halted(Rollouts *rs, const StoreRows *rows) _must_check_;
/* Asks the database for them. */
void rollouts_load_halted(Rollouts *rs);
/* A box has spoken: it is told, once for each connection, as soon as it is known. */
void rollouts_tell_halted(Rollouts *rs, DeviceConn *s);

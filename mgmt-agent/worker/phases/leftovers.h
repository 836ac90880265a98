/* SPDX-License-Identifier: MIT */
/* What a worker that was killed has left running. */
#pragma once

/* Waits for it, then ends it. */
void deploy_end_leftovers(void);

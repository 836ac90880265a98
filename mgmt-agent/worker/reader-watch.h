/* SPDX-License-Identifier: MIT */
/* A worker in a unit of its own has process 1 for its parent, and nothing to end it with the agent. */
#pragma once

#include "lib/base/error.h"

/* From now on we are killed when nobody reads our standard output any more. */
int reader_watch_start(void) _must_check_;

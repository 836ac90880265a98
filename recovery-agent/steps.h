/* SPDX-License-Identifier: MIT */
/* What is done about a wedge, as ladder.c says. */
#pragma once

#include "recovery-agent/recovery-impl.h"

/* After each round: takes the next step, if it is time for one and none is under way. */
void steps_climb(Recovery *r);

/* SPDX-License-Identifier: MIT */
/* The rounds of checks. */
#pragma once

#include "recovery-agent/recovery-impl.h"

int rounds_start(Recovery *r, Error *err) _must_check_;
/* The gateway's probe.result. */
void round_take_result(Recovery *r, const cJSON *message);
void rounds_stop(Recovery *r);

/* SPDX-License-Identifier: MIT */
/* The gateway's time, by what recovery-agent heard of it since the boot. */
#pragma once

#include "lib/base/clock.h"

/* 0 when it heard none, or one that is before `earliest` or after the year 2100. */
usec_t gateway_time_now(usec_t earliest);

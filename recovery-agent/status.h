/* SPDX-License-Identifier: MIT */
/* Where we stand, in words. */
#pragma once

#include "recovery-agent/recovery-impl.h"

/* Tells the cloud, systemd and the journal, if that has changed. */
void recovery_tell(Recovery *r);

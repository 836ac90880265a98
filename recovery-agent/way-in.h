/* SPDX-License-Identifier: MIT */
/* The tunnel, what is said in it, and who is let in by it. */
#pragma once

#include "recovery-agent/recovery-impl.h"

/* Opens the way to the sshd, and the tunnel, which is tried again until it is up. */
int way_in_open(Recovery *r, Error *err) _must_check_;

/* SPDX-License-Identifier: MIT */
/* Is what we need ourselves there: a disk that takes files, and an sshd that answers. */
#pragma once

#include "recovery-agent/recovery-impl.h"

int self_start(Recovery *r, Error *err) _must_check_;
void self_stop(Recovery *r);

/* SPDX-License-Identifier: MIT */
/* What `registry-check` says of one image. It has read the network and may have been taken over, so its answer is input like
 * any other: a state that there is, digests of the right form, and what to pull is named by us. Pure. */
#pragma once

#include "lib/data/json.h"

/* Adds to `o`, which has `image` already, what goes on of the answer `said`. -EBADMSG when it is none. */
int check_take_answer(cJSON *o, const cJSON *said) _must_check_;

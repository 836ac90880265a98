/* SPDX-License-Identifier: MIT */
/* Files that come with a compose file that is applied on the box itself: left where the agent's worker finds them. */
#pragma once

#include "lib/data/bundle.h"

/* Until *ret_lock is closed, which is when the agent has answered, they stay. bundle.too-large, and what writing says. */
int leave_bundle(BundlePack *pack, char ret_digest[static BUNDLE_DIGEST_SIZE], int *ret_lock, Error *err) _must_check_;

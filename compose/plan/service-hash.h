/* SPDX-License-Identifier: MIT */
/* The hash of one service, for the plan's explanations. */
#pragma once

#include "compose/plan/plan.h"
#include "lib/data/digest.h"

/* SHA-256 in hexadecimal over the canonical JSON of what makes the service's container, if it ran this image. */
int compose_hash_service(const ComposeProject *p, const ComposeService *s, const char *image_id,
                         char ret[static SHA256_HEX_SIZE]) _must_check_;

/* SPDX-License-Identifier: MIT */
/* When an image was made, by its own word. Pure. */
#pragma once

#include "lib/base/clock.h"
#include "lib/data/json.h"

/* Of an inspected image: its label org.opencontainers.image.created, else its `Created`. 0 when it does not say, or says what
 * cannot be: the future, or a time before there were images (reproducible builds write 1970). */
usec_t image_made_at(const cJSON *info, usec_t now);

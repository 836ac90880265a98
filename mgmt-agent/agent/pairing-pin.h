/* SPDX-License-Identifier: MIT */
/* The PIN of the pairing page. Five tries are free; then each wrong one costs a delay that doubles, from 30 s to 15 min, for
 * everybody: whoever is at the box's console ends it. */
#pragma once

#include <stdbool.h>

#include "lib/base/clock.h"

#define PIN_DIGITS 8
#define PIN_SIZE (PIN_DIGITS + 1)

void pin_make(char ret[static PIN_SIZE]);
/* "1234-5678" and "1234 5678" are 12345678. */
bool pin_is_right(const char *pin, const char *typed);
usec_t pin_delay(unsigned failures);

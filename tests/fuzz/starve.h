/* SPDX-License-Identifier: MIT */
/* For fuzz targets, which run with allocations that fail, too (starve.c). */
#pragma once

#include <stdbool.h>

/* Whether one has failed in this run: then a call may fail that otherwise could not. */
bool is_starved(void);

/* Ends the program: something is not as it has to be even without memory. abort() is for what has to be with enough. */
_Noreturn void broken(const char *what);

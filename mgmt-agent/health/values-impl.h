/* SPDX-License-Identifier: MIT */
/* How the files of /proc and /sys are read. Private to this folder. */
#pragma once

#include <stddef.h>

/* Of %llu with up to nineteen digits: what is above had a minus sign, which scanf() takes. */
#define VALUES_COUNT_MAX 9999999999999999999ULL

/* A new string, or NULL. */
char *values_read_file(const char *folder, const char *name, size_t max);

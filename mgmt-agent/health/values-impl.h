/* SPDX-License-Identifier: MIT */
/* How the files of /proc and /sys are read. Private to this folder. */
#pragma once

#include <stddef.h>

/* A new string, or NULL. */
char *values_read_file(const char *folder, const char *name, size_t max);

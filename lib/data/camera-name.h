/* SPDX-License-Identifier: MIT */
/* The names that Frigate allows for cameras, and those that it gives to what it has seen. */
#pragma once

#include <stdbool.h>

#define CAMERA_NAME_MAX 64
#define FRIGATE_ID_SIZE 65 /* with NUL */

/* Letters, digits, '_' and '-'. */
bool camera_name_is_valid(const char *name);
/* "1700000000.123456-abc123": a time, and some letters and digits. */
bool frigate_id_is_valid(const char *id);

/* SPDX-License-Identifier: MIT */
/* The names that Frigate allows for cameras. */
#pragma once

#include <stdbool.h>

#define CAMERA_NAME_MAX 64

/* Letters, digits, '_' and '-'. */
bool camera_name_is_valid(const char *name);

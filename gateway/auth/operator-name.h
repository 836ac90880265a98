/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>

#define OPERATOR_NAME_MAX 64

/* 1 to OPERATOR_NAME_MAX letters, digits and . _ @ - */
bool operator_name_is_valid(const char *name);

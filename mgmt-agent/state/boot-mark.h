/* SPDX-License-Identifier: MIT */
/* Whether the containers have been taken care of in this boot already: a file in /run that holds the boot's id. */
#pragma once

#include <stdbool.h>

/* Also true where the file cannot be read: taking care of them once more does no harm. */
bool boot_is_new(void);
void boot_remember(void);

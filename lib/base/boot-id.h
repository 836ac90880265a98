/* SPDX-License-Identifier: MIT */
/* The kernel's name for this boot (random(4)). */
#pragma once

#define BOOT_ID_SIZE 37 /* a UUID with its NUL */

/* This boot's id, or "unknown" where the kernel does not say; a new string, NULL when out of memory. */
char *boot_id_read(void);

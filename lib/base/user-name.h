/* SPDX-License-Identifier: MIT */
/* The name of our own user, for sentences about missing permissions. */
#pragma once

#define USER_NAME_SIZE 64

/* The name of the user that this program runs as, or its number; returns ret. */
const char *user_name_own(char ret[static USER_NAME_SIZE]);

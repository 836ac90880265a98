/* SPDX-License-Identifier: MIT */
/* Who we are, for sentences about what we may not do. */
#pragma once

#define USER_NAME_SIZE 64

/* The name of the user that this program runs as, or its number; returns ret. */
const char *user_name_own(char ret[static USER_NAME_SIZE]);

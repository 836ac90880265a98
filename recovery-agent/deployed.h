/* SPDX-License-Identifier: MIT */
/* What this box is there to run, as far as mgmt-agent has said since the boot. */
#pragma once

#include <stddef.h>

typedef enum Deployed {
    DEPLOYED_UNKNOWN, /* nothing was said: the box has just booted, or mgmt-agent does not run, or is an older one */
    DEPLOYED_YES,
    DEPLOYED_NO,
} Deployed;

/* Of the list's text: a first line that says what it is, then one service a line. Pure. */
Deployed deployed_judge(const char *text, const char *service);
/* Of the file. One that is missing or damaged says nothing. */
Deployed deployed_read(const char *service);

/* SPDX-License-Identifier: MIT */
/* What this box is meant to run, as far as mgmt-agent has said since the boot. */
#pragma once

#include <stddef.h>

typedef enum Deployed {
    DEPLOYED_UNKNOWN, /* nothing was said: the box has just booted, or mgmt-agent is not running or is an older version */
    DEPLOYED_YES,
    DEPLOYED_NO,
} Deployed;

/* From the text of the list: a first line that says what it is, then one service a line. Pure. */
Deployed deployed_judge(const char *text, const char *service);
/* From the file. One that is missing or damaged says nothing. */
Deployed deployed_read(const char *service);

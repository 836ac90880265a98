/* SPDX-License-Identifier: MIT */
/* The first lines of the log: which secbox this is, for whom, and with what. After an update they answer "is it the new
 * one?". */
#pragma once

#include "secbox/secbox-config.h"

void banner_log(const Config *config);

/* Where a database URL leads, without user, password and options. A new string, NULL when out of memory. */
char *banner_database(const char *url);

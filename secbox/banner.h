/* SPDX-License-Identifier: MIT */
/* The first lines of the log: which secbox this is, for whom, and with what. After an update they answer "is it the new
 * one?". */
#pragma once

#include "secbox/secbox-config.h"

void banner_log(const Config *config);

/* SPDX-License-Identifier: MIT */
#pragma once

/* Where PATH, or what PATH usually is, has this program; a new string, NULL when nowhere. Only absolute folders count. */
char *find_program(const char *name);

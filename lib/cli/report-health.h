/* SPDX-License-Identifier: MIT */
/* How the command lines show the values of health.report (docs/wire-format.md). As report.h: pure, every string is new, NULL
 * when out of memory, and what is absent is left out. */
#pragma once

#include "lib/data/json.h"

/* One line for each kind of value, faults first, "LABEL  VALUE". Values of a box, of its secbox, or of both in one object. */
char *report_health(const cJSON *values);

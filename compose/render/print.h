/* SPDX-License-Identifier: MIT */
#pragma once

#include "compose/model/project.h"

/* The variable-free file for people (`secboxctl render`): environment inline, secrets as they are. New string. */
char *compose_print(const ComposeProject *p);

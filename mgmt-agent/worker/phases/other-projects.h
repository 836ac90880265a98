/* SPDX-License-Identifier: MIT */
/* What belongs to one project of the box, and another one must not take without the owner's word. */
#pragma once

#include "compose/policy/policy.h"

/* A network or volume ("kind") that is on the box, by its labels: preflight.other-project when one of the box's other projects
 * has it, or had it, and no entry "other_project" allows it. */
int other_project_check(const ComposePolicy *policy, const ComposeService *s, const char *kind, const char *name,
                        const cJSON *labels, Error *err) _must_check_;

/* Ports that services of other projects are to have, whether they run or not: preflight.port-in-use. */
int other_projects_check_ports(const ComposeService *s, Error *err) _must_check_;

/* The refusal itself; `owner` is "PROJECT/SERVICE" or "PROJECT". */
int other_project_error(const ComposeService *s, const char *kind, const char *name, const char *owner, Error *err);

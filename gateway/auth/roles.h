/* SPDX-License-Identifier: MIT */
/* The roles of operator tokens. Pure. */
#pragma once

#include <stdbool.h>

#include "lib/base/error.h"

#define ROLE_BOUND_PREFIX "bound:"

/* Each may all that a viewer may; an operator all but what is for admins; deploy and support neither what the other may. */
typedef enum OperatorRole {
    ROLE_ADMIN,
    ROLE_OPERATOR,
    ROLE_DEPLOY,  /* changes what runs on boxes */
    ROLE_SUPPORT, /* reads logs of services, and logs in to boxes */
    ROLE_VIEWER,
    _ROLE_OPERATOR_MAX,
} OperatorRole;

#define OPERATOR_ROLES "admin, operator, deploy, support and viewer"

const char *operator_role_to_string(OperatorRole role);
/* -EINVAL for what is no role. */
int operator_role_parse(const char *text, OperatorRole *ret) _must_check_;
/* As the database has it of a token: one that is bound to labels stands there as "bound:ROLE", so that a gateway that knows no
 * labels lets it do nothing at all. -EINVAL for what is no role. */
int operator_role_read(const char *stored, OperatorRole *ret, bool *ret_bound) _must_check_;
/* Whether a token with the role `has` is enough for what needs `needed`; auth.role, which names both and what to do. */
int operator_role_check(const char *person, OperatorRole has, OperatorRole needed, Error *err) _must_check_;

/* SPDX-License-Identifier: MIT */
/* Why a container has to be replaced, in words that name keys and never show a value. */
#pragma once

#include "compose/plan/plan.h"

/* `before` and `previous` may be NULL. A new string in *ret. */
int plan_explain(const ComposeProject *wanted, const ComposeService *s, const ComposeProject *previous,
                 const ObservedContainer *o, char **ret) _must_check_;

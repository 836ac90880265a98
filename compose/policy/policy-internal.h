/* SPDX-License-Identifier: MIT */
/* What policy-check.c (the rules) asks of policy.c (the box's file). */
#pragma once

#include "compose/policy/policy.h"

/* Whether `key` (or `key:item`, when item is not NULL) stands in the allow list of the service or of "*".
 * With service NULL: in the list of any service. */
bool policy_allows(const ComposePolicy *p, const char *service, const char *key, const char *item);

/* Whether the image is below one of the policy's prefixes (true when it has no list). */
bool policy_allows_image(const ComposePolicy *p, const char *image);

/* Whether an allow entry may begin with this word; policy-check.c knows them. */
bool policy_key_is_known(const char *key);

/* Absolute, and without empty, "." and ".." components. */
bool policy_path_is_clean(const char *path);

/* Whether the path was allowed when entries covered everything below them: then the refusal says how to write it now. */
bool policy_allowed_bind(const ComposePolicy *p, const char *service, const char *source, bool read_only);

/* SPDX-License-Identifier: MIT */
/* What a pushed compose file may ask for: an allow-list; keys that equal root on the host only where the box's own
 * policy file allows them for that service. */
#pragma once

#include "compose/compose.h"

typedef struct ComposePolicy ComposePolicy;

/* The box's policy.json (text NULL = the built-in default, which allows nothing special):
 *   {"services": {"frigate": {"allow": ["devices", "cap_add:NET_ADMIN", "privileged"],
 *                             "bind": ["/mnt/recordings"], "bind_ro": ["/etc/localtime"]}},
 *    "bind": ["/var/lib/tucomunidad/volumes"], "images": ["localhost/", "registry.example.com/"]}
 * Service "*" means all. Unknown members are policy.unknown-key; errors are policy.*. */
int policy_parse(const char *text, size_t len, const char *file, ComposePolicy **ret, Error *err) _must_check_;
ComposePolicy *policy_free(ComposePolicy *p);
DEFINE_CLEANUP(ComposePolicy, policy_free)

/* Before interpolation: refuses what is refused whatever the variables are. */
int compose_policy_check(const ComposeFile *f, const ComposePolicy *policy, Error *err) _must_check_;
/* After interpolation: the whole list, on the normal form. Errors: policy.refused with file, line, key and the entry to
 * add to policy.json, policy.bind-outside, policy.image-not-allowed. */
int compose_policy_check_project(const ComposeProject *p, const ComposePolicy *policy, const char *file, Error *err)
    _must_check_;

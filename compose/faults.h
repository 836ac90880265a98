/* SPDX-License-Identifier: MIT */
/* All that is wrong with a compose file, in one go. */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "compose/model/resolve-options.h"
#include "lib/base/error-list.h"

typedef struct ComposeFaults {
    ErrorList refused; /* by every box, as compose_precheck() does; by line */
    bool more;         /* they are too many, and not all of them are in the list */
    ErrorList policy;  /* by the built-in policy; a box's policy.json may allow it */
    Error engine;      /* why podman-compose cannot make it, when nothing else is wrong */
    cJSON *allowing;   /* the policy.json that would allow it; NULL when nothing needs it or could be allowed */
} ComposeFaults;

/* Takes what is at fault out of a copy and looks again until nothing is found any more. A file that is no YAML has one fault,
 * since nothing behind it can be read. `files` come with it; NULL: none do. 0 or -ENOMEM; start from `= {}`. */
int compose_find_faults(const char *text, size_t len, const char *file, const ComposeFiles *files,
                        ComposeFaults *ret) _must_check_;
void compose_faults_done(ComposeFaults *f);

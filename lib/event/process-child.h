/* SPDX-License-Identifier: MIT */
/* What happens between fork and exec: only async-signal-safe calls, everything needed was prepared before. Private to
 * process.c. */
#pragma once

#include <sys/types.h>

#include "lib/event/process.h"

#define PROCESS_PASS_FDS_MAX 16

/* The step that failed, sent to the parent with its errno through the status pipe, which exec closes. */
typedef enum ChildStep {
    CHILD_STEP_DESCRIPTORS,
    CHILD_STEP_USER,
    CHILD_STEP_FOLDER,
    CHILD_STEP_PARENT,
    CHILD_STEP_EXEC,
} ChildStep;

typedef struct ChildFailure {
    int error; /* errno */
    ChildStep step;
} ChildFailure;

typedef struct ChildPlan {
    const ProcessSpec *spec;
    const char *const *env;
    int in, out, err; /* become 0, 1, 2 */
    int status;       /* write end of the status pipe */
    pid_t parent;
    bool set_user;
    const gid_t *groups;
    size_t n_groups;
} ChildPlan;

_Noreturn void process_child(const ChildPlan *plan);

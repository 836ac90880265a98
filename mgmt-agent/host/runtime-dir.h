/* SPDX-License-Identifier: MIT */
/* A user's folder in /run (XDG_RUNTIME_DIR), which goes with that user's service manager and comes back as another one. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

typedef struct RuntimeDir {
    char *path; /* NULL: there is none */
    dev_t dev;
    ino_t ino;
} RuntimeDir;

/* path NULL, or not there: none. -ENOMEM. */
int runtime_dir_note(RuntimeDir *d, const char *path);
void runtime_dir_done(RuntimeDir *d);
/* Whether the one that was noted is there no more. */
bool runtime_dir_is_gone(const RuntimeDir *d);

/* SPDX-License-Identifier: MIT */
/* A user's folder in /run (XDG_RUNTIME_DIR), which goes with that user's service manager and comes back as another one. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

typedef struct UserFolder {
    char *path; /* NULL: there is none */
    dev_t dev;
    ino_t ino;
} UserFolder;

/* path NULL, or not there: none. -ENOMEM. */
int user_folder_note(UserFolder *d, const char *path);
void user_folder_done(UserFolder *d);
/* Whether the one that was noted is there no more. */
bool user_folder_is_gone(const UserFolder *d);

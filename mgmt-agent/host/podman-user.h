/* SPDX-License-Identifier: MIT */
/* The user whose podman runs the containers (SPEC §3), and the complete environment of its children. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "lib/data/json.h"

/* Environment variable that all children carry; its value is the box's state folder. */
#define PODMAN_USER_MARKER "SECBOX_WORKER"

typedef struct PodmanUser {
    char *name;
    uid_t uid;
    gid_t gid;
    char *home;
    char *runtime_dir; /* XDG_RUNTIME_DIR; NULL for root */
    char **env;        /* complete, for podman and podman-compose; NULL before podman_user_prepare() */
    int switch_user;   /* whether children must change to it */
    bool unnamed_root; /* root, which nobody chose: it holds what an earlier agent deployed */
} PodmanUser;

/* `wanted` is PODMAN_USER or NULL: then root if its podman holds what is deployed here, else tc, else tcops. When the caller is
 * not root it is the caller itself. Errors: podman.no-user. */
int podman_user_find(const char *wanted, PodmanUser *ret, Error *err) _must_check_;

/* Makes the environment for its children; once is enough. Errors: podman.no-runtime-dir when a rootless user has no
 * /run/user/UID (linger is not enabled). */
int podman_user_prepare(PodmanUser *u, Error *err) _must_check_;
/* What podman_user_take_environment() would take of our own environment: a new array; NULL when out of memory. */
cJSON *podman_user_give_environment(void);
/* Takes over, of an array of "NAME=VALUE", what moves podman's storage and registries, and nothing else. NULL is none. */
int podman_user_take_environment(const cJSON *variables) _must_check_;
/* What all children carry, "NAME=VALUE": a new string or NULL; and whether a process does. */
char *podman_user_marker(void);
bool podman_user_marks(const char *pid, const char *marker);
void podman_user_done(PodmanUser *u);

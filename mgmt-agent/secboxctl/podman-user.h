/* SPDX-License-Identifier: MIT */
/* Who runs the containers on this box (SPEC: PODMAN_USER, else tc, else tcops, else root). */
#pragma once

#include <sys/types.h>

#include "env/env-file.h"
#include "lib/base/error.h"

typedef struct PodmanUser {
    char *name;
    char *home;
    uid_t uid;
    gid_t gid;
} PodmanUser;

/* agent_env may be NULL. podman.no-user when PODMAN_USER names nobody. */
int podman_user_find(const EnvFile *agent_env, PodmanUser *ret, Error *err) _must_check_;
void podman_user_done(PodmanUser *u);

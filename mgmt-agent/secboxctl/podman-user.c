/* SPDX-License-Identifier: MIT */
/* Finds the user that containers run under. */
#include "mgmt-agent/secboxctl/podman-user.h"

#include <errno.h>
#include <pwd.h>
#include <string.h>

#include "lib/base/strv.h"

#define PASSWD_BUFFER_SIZE 16384

void podman_user_done(PodmanUser *u)
{
    free(u->name);
    free(u->home);
    *u = (PodmanUser) {};
}

/* 1 found, 0 no such user. */
static int lookup(const char *name, PodmanUser *ret)
{
    _cleanup_(freep) char *buffer = malloc(PASSWD_BUFFER_SIZE);
    struct passwd entry, *found = NULL;

    if (!buffer)
        return -ENOMEM;
    int r = getpwnam_r(name, &entry, buffer, PASSWD_BUFFER_SIZE, &found);
    if (r != 0 || !found)
        return r == ENOMEM ? -ENOMEM : 0;
    *ret = (PodmanUser) {
        .name = strdup(entry.pw_name), .home = strdup(entry.pw_dir), .uid = entry.pw_uid, .gid = entry.pw_gid
    };
    if (ret->name && ret->home)
        return 1;
    podman_user_done(ret);
    return -ENOMEM;
}

int podman_user_find(const EnvFile *agent_env, PodmanUser *ret, Error *err)
{
    static const char *const usual[] = { "tc", "tcops", "root" };
    const char *wanted = agent_env ? env_get(agent_env, "PODMAN_USER") : NULL;
    int r;

    if (!str_empty(wanted)) {
        r = lookup(wanted, ret);
        if (r == 0)
            return error_set(err, ENOENT, "podman.no-user", "PODMAN_USER is %s, and there is no such user", wanted);
        return r < 0 ? error_from_errno(err, r, "look up user %s", wanted) : 0;
    }
    for (size_t i = 0; i < ELEMENTSOF(usual); i++) {
        r = lookup(usual[i], ret);
        if (r != 0)
            return r < 0 ? error_from_errno(err, r, "look up user %s", usual[i]) : 0;
    }
    return error_set(err, ENOENT, "podman.no-user", "none of the users tc, tcops and root exists");
}

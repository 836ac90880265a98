/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/worker/podman/user-process.h"

ProcessSpec podman_user_spec(const PodmanUser *user, const char *const *argv, usec_t timeout)
{
    return (ProcessSpec) { .argv = argv,
                           .env = (const char *const *) user->env,
                           .cwd = "/",
                           .uid = user->uid,
                           .gid = user->gid,
                           .drop_privileges = user->switch_user,
                           .timeout_usec = timeout,
                           .keep_with_parent = true };
}

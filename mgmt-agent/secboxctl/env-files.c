/* SPDX-License-Identifier: MIT */
/* Checks the env files where they lie. */
#include "mgmt-agent/secboxctl/env-files.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "env/env-tunnel.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/data/host-mode.h"
#include "mgmt-agent/host/podman-user.h"

char *env_files_path(EnvFileKind kind)
{
    return path_in_root(kind == ENV_AGENT ? AGENT_ENV_PATH : SECBOX_ENV_PATH);
}

/* The owner that a file must have, and its name for the sentence. */
static int expected_owner(EnvFileKind kind, const EnvFile *agent_env, PodmanUser *ret, Error *err)
{
    if (kind == ENV_SECBOX && !box_is_without_containers())
        return podman_user_find(agent_env ? env_get(agent_env, "PODMAN_USER") : NULL, ret, err);
    *ret = (PodmanUser) { .name = str_format("root"), .uid = 0 };
    return ret->name ? 0 : error_from_errno(err, -ENOMEM, "check the owner");
}

static int check_owner_and_mode(EnvFileKind kind, const char *path, const EnvFile *agent_env, Error *err)
{
    _cleanup_(podman_user_done) PodmanUser owner = {};
    struct stat st;

    if (fstatat(AT_FDCWD, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return error_from_errno(err, -errno, "look at %s", path);
    int r = expected_owner(kind, agent_env, &owner, err);
    if (r < 0)
        return r;
    /* a box below a prefix, run by a developer, has only one owner */
    if (st.st_uid != owner.uid && !(geteuid() != 0 && !str_empty(paths_root()) && st.st_uid == geteuid()))
        return error_set_at(err, EPERM, "env.bad-owner", path, 0, NULL,
                            "the file belongs to user %u, not to %s: run chown %s %s", (unsigned) st.st_uid, owner.name,
                            owner.name, path);
    if ((st.st_mode & 07777) != 0600)
        return error_set_at(err, EPERM, "env.bad-mode", path, 0, NULL,
                            "the file holds secrets and its mode is %04o: run chmod 0600 %s",
                            (unsigned) (st.st_mode & 07777), path);
    return 0;
}

int env_files_check(EnvFileKind kind, const EnvFile *agent_env, EnvFile **ret_env, Error *err)
{
    _cleanup_(freep) char *path = env_files_path(kind);
    TunnelProvider provider;

    if (!path)
        return error_from_errno(err, -ENOMEM, "check the env files");
    int r = env_load_kind(kind, path, ret_env, err);
    if (r >= 0)
        r = env_validate(*ret_env, kind, path, err);
    if (r >= 0 && kind == ENV_SECBOX)
        r = env_check_tunnel(*ret_env, path, &provider, err);
    if (r >= 0)
        r = check_owner_and_mode(kind, path, kind == ENV_AGENT ? *ret_env : agent_env, err);
    return r;
}

/* SPDX-License-Identifier: MIT */
/* Reading the configuration while we may, then becoming nobody in particular. */
#include "mgmt-agent/link/link-config.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "env/env-rules.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/http/client.h"

#define SSH_PORT_DEFAULT 22

void link_config_done(LinkConfig *c)
{
    free(c->cloud_url);
    free(c->gateway_url);
    free(c->device_id);
    secret_free(c->bootstrap);
    free(c->ca_file);
    *c = (LinkConfig) {};
}

static int copy_value(const EnvFile *env, const char *key, char **ret)
{
    const char *value = env_get(env, key);

    if (str_empty(value))
        return 0;
    *ret = strdup(value);
    return *ret ? 0 : -ENOMEM;
}

int link_config_load(const char *path, LinkConfig *ret, Error *err)
{
    _cleanup_(env_freep) EnvFile *env = NULL;
    _cleanup_(link_config_done) LinkConfig c = {};
    int r = env_load(path, &env, err);

    if (r >= 0)
        r = env_validate(env, ENV_AGENT, path, err);
    if (r < 0)
        return r;
    if (copy_value(env, "CLOUD_BASE_URL", &c.cloud_url) < 0 ||
        copy_value(env, "MGMT_GATEWAY_URL", &c.gateway_url) < 0 || copy_value(env, "DEVICE_ID", &c.device_id) < 0 ||
        copy_value(env, "BOOTSTRAP", &c.bootstrap) < 0 || copy_value(env, "CLOUD_CA_FILE", &c.ca_file) < 0)
        return error_from_errno(err, -ENOMEM, "cannot keep the configuration");
    const char *port = env_get(env, "SSH_PORT");
    uint64_t ssh_port = SSH_PORT_DEFAULT;
    if (!str_empty(port) && str_to_u64(port, 1, UINT16_MAX, &ssh_port) < 0)
        return error_set(err, EINVAL, "env.bad-value", "SSH_PORT in %s must be a port from 1 to 65535", path);
    c.ssh_port = (uint16_t) ssh_port;
    r = url_check(c.cloud_url ? c.cloud_url : "", "https,http", err);
    if (r < 0)
        return error_prefix(err, r, "CLOUD_BASE_URL in %s", path);
    r = url_check(c.gateway_url ? c.gateway_url : "", "wss,ws", err);
    if (r < 0)
        return error_prefix(err, r, "MGMT_GATEWAY_URL in %s", path);
    *ret = c;
    c = (LinkConfig) {};
    return 0;
}

char *link_config_path(bool *ret_is_credential)
{
    const char *dir = getenv("CREDENTIALS_DIRECTORY");

    *ret_is_credential = false;
    if (!str_empty(dir)) {
        _cleanup_(freep) char *path = path_join(dir, "mgmt-agent.env");

        if (path && access(path, F_OK) == 0) {
            *ret_is_credential = true;
            return TAKE_PTR(path);
        }
    }
    return path_in_root(AGENT_ENV_PATH);
}

struct timespec link_config_changed_at(const char *path)
{
    struct stat st;

    return stat(path, &st) < 0 ? (struct timespec) {} : st.st_mtim;
}

int link_find_user(const char *user, uid_t *ret_uid, gid_t *ret_gid, Error *err)
{
    const struct passwd *pw = getpwnam(user);

    if (!pw)
        return error_set(err, ENOENT, "link.no-user",
                         "there is no user \"%s\"; reinstall the package or name another with --user", user);
    *ret_uid = pw->pw_uid;
    *ret_gid = pw->pw_gid;
    return 0;
}

int link_drop_privileges(const char *user, uid_t uid, gid_t gid, Error *err)
{
    bool same = geteuid() != 0 && geteuid() == uid; /* started as that user: nothing to drop */

    if (user && !same && (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0))
        return error_from_errno(err, -errno, "cannot become the user \"%s\"", user);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return error_from_errno(err, -errno, "cannot give up new privileges");
    return 0;
}

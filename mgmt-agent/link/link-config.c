/* SPDX-License-Identifier: MIT */
/* Reading the configuration while we may, then becoming nobody in particular. */
#include "mgmt-agent/link/link-config.h"

#include <dirent.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "env/env-rules.h"
#include "lib/base/fileio.h"
#include "lib/base/paths.h"
#include "lib/base/redact.h"
#include "lib/base/strv.h"
#include "lib/data/digest.h"
#include "lib/http/client.h"

#define SSH_PORT_DEFAULT 22
#define CA_SIZE_MAX (1024 * 1024)
#define KEPT_CA "kept-ca"

void link_config_done(LinkConfig *c)
{
    free(c->cloud_url);
    free(c->gateway_url);
    free(c->device_id);
    secret_free(c->bootstrap);
    secret_free(c->enrolment);
    free(c->cloud_key);
    free(c->ca_file);
    secret_free(c->text);
    free(c->digest);
    *c = (LinkConfig) {};
}

void link_hide_secrets(const LinkConfig *c)
{
    redact_add_secret(c->bootstrap ? c->bootstrap : "");
    redact_add_secret(c->enrolment ? c->enrolment : "");
}

static int copy_value(const EnvFile *env, const char *key, char **ret)
{
    const char *value = env_get(env, key);

    if (str_empty(value))
        return 0;
    *ret = strdup(value);
    return *ret ? 0 : -ENOMEM;
}

static int take_digest(LinkConfig *c)
{
    _cleanup_(freep) char *ca = NULL;
    char hex[SHA256_HEX_SIZE];

    if (c->ca_file)
        (void) !file_read_followed(c->ca_file, CA_SIZE_MAX, &ca, NULL, NULL);
    _cleanup_(secret_freep) char *all = str_format("%s\n%s\n%s\n%s\n%u\n%s", c->cloud_url, c->gateway_url, c->device_id,
                                                   c->bootstrap ? c->bootstrap : "", (unsigned) c->ssh_port,
                                                   ca           ? ca
                                                   : c->ca_file ? "?"
                                                                : "");
    if (!all || sha256_hex(all, strlen(all), hex) < 0 || !(c->digest = strdup(hex)))
        return -ENOMEM;
    return 0;
}

static int take_values(const EnvFile *env, const char *path, LinkConfig *c, Error *err)
{
    const char *port = env_get(env, "SSH_PORT");
    uint64_t ssh_port = SSH_PORT_DEFAULT;
    int r;

    if (copy_value(env, "CLOUD_BASE_URL", &c->cloud_url) < 0 ||
        copy_value(env, "MGMT_GATEWAY_URL", &c->gateway_url) < 0 || copy_value(env, "DEVICE_ID", &c->device_id) < 0 ||
        copy_value(env, "BOOTSTRAP", &c->bootstrap) < 0 || copy_value(env, "ENROLMENT", &c->enrolment) < 0 ||
        copy_value(env, "CLOUD_FINGERPRINT", &c->cloud_key) < 0 || copy_value(env, "CLOUD_CA_FILE", &c->ca_file) < 0)
        return error_from_errno(err, -ENOMEM, "cannot keep the configuration");
    if (!str_empty(port) && str_to_u64(port, 1, UINT16_MAX, &ssh_port) < 0)
        return error_set(err, EINVAL, "env.bad-value", "SSH_PORT in %s must be a port from 1 to 65535", path);
    c->ssh_port = (uint16_t) ssh_port;
    r = url_check(c->cloud_url ? c->cloud_url : "", "https,http", err);
    if (r < 0)
        return error_prefix(err, r, "CLOUD_BASE_URL in %s", path);
    r = url_check(c->gateway_url ? c->gateway_url : "", "wss,ws", err);
    return r < 0 ? error_prefix(err, r, "MGMT_GATEWAY_URL in %s", path) : 0;
}

static int parse_text(const char *text, size_t len, const char *path, LinkConfig *ret, Error *err)
{
    _cleanup_(env_freep) EnvFile *env = NULL;
    _cleanup_(link_config_done) LinkConfig c = { .text = strdup(text) };
    int r = env_parse(text, len, path, &env, err);

    if (r >= 0)
        r = env_validate(env, ENV_AGENT, path, err);
    if (r >= 0)
        r = take_values(env, path, &c, err);
    if (r < 0)
        return r;
    if (!c.text || take_digest(&c) < 0)
        return error_from_errno(err, -ENOMEM, "cannot keep the configuration");
    *ret = c;
    c = (LinkConfig) {};
    return 0;
}

int link_config_parse(const char *text, const char *path, LinkConfig *ret, Error *err)
{
    return parse_text(text, strlen(text), path, ret, err);
}

int link_config_load(const char *path, LinkConfig *ret, Error *err)
{
    _cleanup_(secret_freep) char *text = NULL;
    size_t len = 0;
    int r = env_file_read(path, &text, &len, err);

    return r < 0 ? r : parse_text(text, len, path, ret, err);
}

/* Where the authorities are kept of the configuration with this text: a new string or NULL. One of its own for each text, so that
 * the two are never of different configurations, whenever the power goes. */
static char *kept_ca_path(const char *state_dir, const char *text)
{
    char hex[SHA256_HEX_SIZE];

    return sha256_hex(text, strlen(text), hex) < 0 ? NULL : str_format("%s/" KEPT_CA "-%s.pem", state_dir, hex);
}

static int keep_file(const char *path, const char *text, Error *err)
{
    return path ? file_write_atomic(path, text, strlen(text), 0600, (uid_t) -1, (gid_t) -1, err) : -ENOMEM;
}

/* Those of other texts, and of none when `path` is not there. */
static void remove_other_authorities(const char *state_dir, const char *path)
{
    DIR *dir = opendir(state_dir);
    const struct dirent *entry;

    while (dir && (entry = readdir(dir))) {
        _cleanup_(freep) char *other = str_starts(entry->d_name, KEPT_CA) ? path_join(state_dir, entry->d_name) : NULL;

        if (other && !str_equal(other, path))
            (void) unlink(other);
    }
    if (dir)
        closedir(dir);
}

int link_config_keep(const LinkConfig *c, const char *state_dir, Error *err)
{
    _cleanup_(freep) char *ca = NULL, *ca_path = NULL, *path = path_join(state_dir, LINK_KEPT_ENV);
    int r = c->ca_file ? file_read_followed(c->ca_file, CA_SIZE_MAX, &ca, NULL, err) : 0;

    if (r >= 0 && ca) {
        ca_path = kept_ca_path(state_dir, c->text);
        r = keep_file(ca_path, ca, err);
    }
    if (r >= 0)
        r = keep_file(path, c->text, err);
    if (r >= 0)
        remove_other_authorities(state_dir, ca_path);
    return r;
}

int link_config_load_kept(const char *state_dir, LinkConfig *ret, Error *err)
{
    _cleanup_(freep) char *path = path_join(state_dir, LINK_KEPT_ENV);
    _cleanup_(link_config_done) LinkConfig c = {};
    int r = path ? link_config_load(path, &c, err) : -ENOMEM;

    if (r < 0)
        return r;
    if (c.ca_file) {
        free(c.ca_file);
        c.ca_file = kept_ca_path(state_dir, c.text);
        if (!c.ca_file)
            return -ENOMEM;
        free(c.digest);
        c.digest = NULL;
        if (take_digest(&c) < 0)
            return -ENOMEM;
    }
    *ret = c;
    c = (LinkConfig) {};
    return 0;
}

void link_config_forget(const char *state_dir)
{
    static const char *const names[] = { LINK_KEPT_ENV, "token" };

    for (size_t i = 0; i < ELEMENTSOF(names); i++) {
        _cleanup_(freep) char *path = path_join(state_dir, names[i]);

        if (path)
            (void) !file_remove(path, NULL);
    }
    remove_other_authorities(state_dir, NULL);
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

/* SPDX-License-Identifier: MIT */
/* Children get nothing of our own environment but what moves podman's storage and registries. */

#include "mgmt-agent/host/podman-user.h"

#include <errno.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/fileio.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "mgmt-agent/state/root-podman.h"

#define ENVIRON_MAX (256 * 1024)

static const char *const passed_on[] = {
    "CONTAINERS_CONF",
    "CONTAINERS_STORAGE_CONF",
    "CONTAINERS_REGISTRIES_CONF",
    "REGISTRY_AUTH_FILE",
    "TMPDIR",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "HTTPS_PROXY",
    "NO_PROXY",
};

void podman_user_done(PodmanUser *u)
{
    free(u->name);
    free(u->home);
    free(u->runtime_dir);
    strv_free(u->env);
    *u = (PodmanUser) {};
}

cJSON *podman_user_give_environment(void)
{
    _cleanup_(cJSON_Deletep) cJSON *list = cJSON_CreateArray();

    for (size_t i = 0; list && i < ELEMENTSOF(passed_on); i++) {
        const char *value = getenv(passed_on[i]);
        _cleanup_(secret_freep) char *text = value ? str_format("%s=%s", passed_on[i], value) : NULL;

        if (value && (!text || json_append(list, cJSON_CreateString(text)) < 0))
            return NULL;
    }
    return TAKE_PTR(list);
}

int podman_user_take_environment(const cJSON *variables)
{
    const cJSON *v;

    cJSON_ArrayForEach(v, variables) {
        const char *text = cJSON_GetStringValue(v), *equals = text ? strchr(text, '=') : NULL;

        for (size_t i = 0; equals && i < ELEMENTSOF(passed_on); i++)
            if (strlen(passed_on[i]) == (size_t) (equals - text) && str_starts(text, passed_on[i]) &&
                setenv(passed_on[i], equals + 1, 1) < 0)
                return -errno;
    }
    return 0;
}

char *podman_user_marker(void)
{
    _cleanup_(freep) char *folder = path_in_root(AGENT_STATE_DIR);

    return folder ? str_format(PODMAN_USER_MARKER "=%s", folder) : NULL;
}

bool podman_user_marks(const char *pid, const char *marker)
{
    _cleanup_(freep) char *path = str_format("/proc/%s/environ", pid), *text = NULL;
    size_t len = 0;

    if (!path || file_read(path, ENVIRON_MAX, &text, &len, NULL) < 0)
        return false;
    for (size_t at = 0; at < len; at += strlen(text + at) + 1)
        if (str_equal(text + at, marker))
            return true;
    return false;
}

static int make_env(PodmanUser *u)
{
    int r = strv_add(&u->env, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");

    if (r == 0)
        r = strv_add(&u->env, "LANG=C.UTF-8");
    /* podman-compose prints through Python: without this its lines arrive after the ones of podman */
    if (r == 0)
        r = strv_add(&u->env, "PYTHONUNBUFFERED=1");
    if (r == 0)
        r = strv_addf(&u->env, "HOME=%s", u->home);
    if (r == 0)
        r = strv_addf(&u->env, "USER=%s", u->name);
    if (r == 0 && u->runtime_dir) {
        struct stat st;
        _cleanup_(freep) char *bus = str_format("%s/bus", u->runtime_dir);

        r = strv_addf(&u->env, "XDG_RUNTIME_DIR=%s", u->runtime_dir);
        if (r == 0 && bus && stat(bus, &st) == 0)
            r = strv_addf(&u->env, "DBUS_SESSION_BUS_ADDRESS=unix:path=%s", bus);
    }
    /* marks our children, so that the next worker finds those that a killed one left behind */
    if (r == 0) {
        char *marker = podman_user_marker();

        r = marker ? strv_take(&u->env, marker) : -ENOMEM;
    }
    for (size_t i = 0; r == 0 && i < ELEMENTSOF(passed_on); i++)
        if (getenv(passed_on[i]))
            r = strv_addf(&u->env, "%s=%s", passed_on[i], getenv(passed_on[i]));
    return r;
}

/* Root's podman only where it is named, or where it holds what is deployed: a container that broke out of it has the box. */
static const struct passwd *find_entry(const char *wanted, bool *ret_unnamed_root)
{
    static const char *const usual[] = { "tc", "tcops" };
    const struct passwd *pw = NULL;

    if (geteuid() != 0)
        return getpwuid(geteuid());
    if (!str_empty(wanted))
        return getpwnam(wanted);
    /* before the usual ones: a user who was made since then has none of the containers */
    *ret_unnamed_root = root_podman_is_used();
    if (*ret_unnamed_root)
        return getpwuid(0);
    for (size_t i = 0; !pw && i < ELEMENTSOF(usual); i++)
        pw = getpwnam(usual[i]);
    return pw;
}

int podman_user_find(const char *wanted, PodmanUser *ret, Error *err)
{
    _cleanup_(podman_user_done) PodmanUser u = {};
    const struct passwd *pw = find_entry(wanted, &u.unnamed_root);

    if (!pw && !str_empty(wanted))
        return error_set(err, ENOENT, "podman.no-user",
                         "there is no user '%s', whom PODMAN_USER in mgmt-agent.env names; correct the line, or do: "
                         "useradd --create-home %s && loginctl enable-linger %s",
                         wanted, wanted, wanted);
    if (!pw)
        return error_set(
            err, ENOENT, "podman.no-user",
            "there is no user for the containers; do: useradd --create-home tc && loginctl enable-linger tc "
            "(or, to have them run as root, write PODMAN_USER=root into mgmt-agent.env)");
    u.name = strdup(pw->pw_name);
    u.home = strdup(pw->pw_dir);
    u.uid = pw->pw_uid;
    u.gid = pw->pw_gid;
    u.switch_user = pw->pw_uid != geteuid();
    if (u.uid != 0) {
        const char *own = getenv("XDG_RUNTIME_DIR");

        u.runtime_dir = !u.switch_user && own ? strdup(own) : str_format("/run/user/%u", (unsigned) u.uid);
    }
    if (!u.name || !u.home || (u.uid != 0 && !u.runtime_dir))
        return error_set(err, ENOMEM, "podman.no-user", "no memory");
    *ret = u;
    u = (PodmanUser) {};
    return 0;
}

int podman_user_prepare(PodmanUser *u, Error *err)
{
    struct stat st;

    if (u->env)
        return 0;
    if (u->runtime_dir && stat(u->runtime_dir, &st) < 0)
        return error_set(err, ENOENT, "podman.no-runtime-dir",
                         "%s does not exist, so rootless podman cannot run; do: loginctl enable-linger %s",
                         u->runtime_dir, u->name);
    return make_env(u) < 0 ? error_set(err, ENOMEM, "podman.no-user", "no memory") : 0;
}

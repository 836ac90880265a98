/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/worker/phases/open-podman.h"

#include <errno.h>
#include <unistd.h>

#include "lib/base/fileio.h"
#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "mgmt-agent/state/boot-mark.h"

#define MANAGER_WAIT_USEC (60 * USEC_PER_SEC)
#define MANAGER_POLL_USEC (200 * USEC_PER_MSEC)

/* Where services show their heartbeat: the main one, and the folder that those of the others are made in. It is gone after each
 * boot, and no start of a container waits for a push. */
static void make_run_folder(const Deploy *d)
{
    _cleanup_(freep) char *path = path_in_root(SECBOX_RUN_DIR);
    _cleanup_(error_done) Error err = {};
    _cleanup_(freep) char *others = path_in_root(SERVICES_RUN_DIR);
    int r = path && others ? dir_make(path, 0755, d->user.uid, d->user.gid, &err) : -ENOMEM;

    if (r == 0)
        r = dir_make(others, 0711, (uid_t) -1, (gid_t) -1, &err);
    if (r < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, &err, r, "Services cannot show their heartbeat");
}

int deploy_open_podman(Deploy *d, Error *err)
{
    int r = 0;

    if (!d->user.name)
        r = podman_user_find(d->agent_env ? env_get(d->agent_env, "PODMAN_USER") : NULL, &d->user, err);
    if (r == 0)
        r = podman_user_prepare(&d->user, err);
    if (r == 0)
        make_run_folder(d);
    if (r == 0 && !d->driver.version)
        r = driver_probe(d->options->podman_compose, &d->user, &d->driver, err);
    if (r == 0 && !d->podman)
        r = podman_open(&d->user, &d->podman, err);
    return r;
}

/* A lingering user's service manager starts beside us at boot. Without it podman would hold containers in our own control group,
 * and could not start those that it made with the manager there. */
static bool has_manager(const PodmanUser *u)
{
    _cleanup_(freep) char *bus = u->runtime_dir ? str_format("%s/bus", u->runtime_dir) : NULL;

    return !u->runtime_dir || access("/run/systemd/system", F_OK) < 0 || (bus && access(bus, F_OK) == 0);
}

static int find_user(Deploy *d, Error *err)
{
    const char *wanted = d->agent_env ? env_get(d->agent_env, "PODMAN_USER") : NULL;
    usec_t until = boottime_usec() + (boot_is_new() ? MANAGER_WAIT_USEC : 0);

    for (;;) {
        int r = podman_user_find(wanted, &d->user, err);
        bool early = r < 0 ? str_equal(error_id(err), "podman.no-runtime-dir") : !has_manager(&d->user);

        if (!early || boottime_usec() >= until)
            return r;
        error_done(err);
        podman_user_done(&d->user);
        usleep(MANAGER_POLL_USEC);
    }
}

int deploy_open_again(Deploy *d, Error *err)
{
    _cleanup_(freep) char *path = path_in_root(AGENT_ENV_PATH);
    int r;

    /* without mgmt-agent.env the usual users are tried: undoing must not depend on it */
    if (path && !d->agent_env && env_load(path, &d->agent_env, NULL) < 0)
        log_warning("Cannot read %s; looking for the usual podman users", path);
    r = find_user(d, err);
    return r < 0 ? r : deploy_open_podman(d, err);
}

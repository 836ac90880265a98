/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/worker/phases/box.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "env/env-rules.h"
#include "lib/base/fileio.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/base/redact.h"
#include "lib/base/strv.h"
#include "mgmt-agent/state/boot-mark.h"

#define MANAGER_WAIT_USEC (60 * USEC_PER_SEC)
#define MANAGER_POLL_USEC (200 * USEC_PER_MSEC)

/* Where services show their heartbeat: the main one, and the folder that those of the others are made in. It is gone after each
 * boot, and no start of a container waits for a push. */
static void make_run_folder(const Box *b)
{
    _cleanup_(freep) char *path = path_in_root(SECBOX_RUN_DIR);
    _cleanup_(error_done) Error err = {};
    _cleanup_(freep) char *others = path_in_root(SERVICES_RUN_DIR);
    struct stat st;
    int r = path && others ? dir_make(path, 0755, b->user.uid, b->user.gid, &err) : -ENOMEM;

    /* an agent of earlier days wrote a list of services there */
    if (r == 0 && lstat(others, &st) == 0 && S_ISREG(st.st_mode))
        (void) unlink(others);
    if (r == 0)
        r = dir_make(others, 0711, (uid_t) -1, (gid_t) -1, &err);
    if (r < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, &err, r, "Services cannot show their heartbeat");
}

void box_done(Box *b)
{
    env_free(b->agent_env);
    podman_free(b->podman);
    podman_user_done(&b->user);
    driver_done(&b->driver);
}

int box_load_env(Box *b, Error *err)
{
    _cleanup_(freep) char *path = path_in_root(AGENT_ENV_PATH);
    int r;

    if (b->agent_env)
        return 0;
    r = path ? env_load(path, &b->agent_env, err) : -ENOMEM;
    if (r == 0) {
        r = env_validate(b->agent_env, ENV_AGENT, path, err);
        redact_add_secret(env_get(b->agent_env, "BOOTSTRAP"));
    }
    return r < 0 ? error_prefix(err, r, "this box's own configuration") : 0;
}

int box_try_env(Box *b)
{
    _cleanup_(freep) char *path = path_in_root(AGENT_ENV_PATH);

    return path && !b->agent_env ? env_load(path, &b->agent_env, NULL) : 0;
}

static const char *wanted_user(const Box *b)
{
    return b->agent_env ? env_get(b->agent_env, "PODMAN_USER") : NULL;
}

static int prepare_user(Box *b, Error *err)
{
    int r = b->user.name ? 0 : podman_user_find(wanted_user(b), &b->user, err);

    return r == 0 ? podman_user_prepare(&b->user, err) : r;
}

int box_open_podman(Box *b, Error *err)
{
    int r = prepare_user(b, err);

    return r == 0 && !b->podman ? podman_open(&b->user, &b->podman, err) : r;
}

int box_open(Box *b, const char *podman_compose, Error *err)
{
    int r = prepare_user(b, err);

    if (r == 0)
        make_run_folder(b);
    if (r == 0 && !b->driver.version)
        r = driver_probe(podman_compose, &b->user, &b->driver, err);
    return r == 0 ? box_open_podman(b, err) : r;
}

/* A lingering user's service manager starts beside us at boot. Without it podman would hold containers in our own control group,
 * and could not start those that it made with the manager there. */
static bool has_manager(const PodmanUser *u)
{
    _cleanup_(freep) char *bus = u->runtime_dir ? str_format("%s/bus", u->runtime_dir) : NULL;

    return !u->runtime_dir || access("/run/systemd/system", F_OK) < 0 || (bus && access(bus, F_OK) == 0);
}

static int find_user(Box *b, Error *err)
{
    usec_t until = boottime_usec() + (boot_is_new() ? MANAGER_WAIT_USEC : 0);

    for (;;) {
        int r = podman_user_find(wanted_user(b), &b->user, err);
        bool early = r < 0 ? str_equal(error_id(err), "podman.no-runtime-dir") : !has_manager(&b->user);

        if (!early || boottime_usec() >= until)
            return r;
        error_done(err);
        podman_user_done(&b->user);
        usleep(MANAGER_POLL_USEC);
    }
}

const char *box_engine_setting(const Box *b)
{
    return b->agent_env ? env_get(b->agent_env, "COMPOSE_ENGINE") : NULL;
}

int box_open_again(Box *b, const char *podman_compose, Error *err)
{
    int r;

    /* undoing must not depend on it */
    if (box_try_env(b) < 0)
        log_warning("Cannot read " AGENT_ENV_PATH "; looking for the usual podman users");
    r = find_user(b, err);
    return r < 0 ? r : box_open(b, podman_compose, err);
}

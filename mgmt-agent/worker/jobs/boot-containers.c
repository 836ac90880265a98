/* SPDX-License-Identifier: MIT */
/* What was proved running is started again after a boot: the same containers, whatever their `restart` says. That is about how
 * a service ends, and it did not. */

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "mgmt-agent/state/boot-mark.h"
#include "mgmt-agent/state/snapshot-store.h"
#include "mgmt-agent/worker/jobs/jobs.h"

#define MANAGER_WAIT_USEC (60 * USEC_PER_SEC)
#define MANAGER_POLL_USEC (200 * USEC_PER_MSEC)

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

static int start_again(Deploy *d, const cJSON *service, Error *err)
{
    const char *id = json_string(service, "id"), *name = json_string(service, "name");
    _cleanup_(cJSON_Deletep) cJSON *info = NULL;
    int r = id ? podman_inspect(d->podman, id, &info, err) : -EINVAL;

    if (r < 0)
        return r;
    if (str_equal(json_string(cJSON_GetObjectItemCaseSensitive(info, "State"), "Status"), "running"))
        return 0;
    r = deploy_may_start(d, name, info, err);
    if (r == 0)
        r = podman_start(d->podman, id, err);
    if (r == 0)
        deploy_progress(d, "info", name, "%s is started again after the boot", json_string(service, "container"));
    return r;
}

static int start_all(Deploy *d, const cJSON *services)
{
    const cJSON *service;
    int failed = 0;

    cJSON_ArrayForEach(service, services) {
        _cleanup_(error_done) Error err = {};
        int r = str_equal(json_string(service, "state"), "running") ? start_again(d, service, &err) : 0;

        if (r < 0) {
            deploy_progress(d, "failed", json_string(service, "name"), "%s cannot be started again after the boot: %s [%s]",
                            json_string(service, "container"), error_message(&err, r), error_id(&err));
            failed++;
        }
    }
    return failed;
}

int job_start(Deploy *d, const cJSON *request)
{
    _cleanup_(cJSON_Deletep) cJSON *current = NULL;
    _cleanup_(error_done) Error err = {};
    const cJSON *wanted;
    int r = journal_load(&d->journal, &err);

    (void) request;
    d->phase = "start";
    if (r == 0)
        r = store_load_current(&current, &err);
    /* a snapshot that waits for its confirmation runs, too */
    wanted = d->journal.state == DEPLOY_CONFIRMING ? d->journal.project : current;
    if (r == 0 && wanted) {
        const char *id = json_string(wanted, "id"), *version = json_string(wanted, "version");

        d->id = strdup(id ? id : "");
        d->version = strdup(version ? version : "0");
        r = d->id && d->version ? deploy_open_again(d, &err) : -ENOMEM;
    }
    if (r < 0) {
        log_failure(LOG_LEVEL_ERROR, NULL, &err, r, "Cannot start the containers after the boot yet, trying again");
        return EXIT_TRY_AGAIN;
    }
    if (wanted)
        deploy_review_binds(d);
    return start_all(d, cJSON_GetObjectItemCaseSensitive(wanted, "services")) > 0 ? EXIT_TRY_AGAIN : 0;
}

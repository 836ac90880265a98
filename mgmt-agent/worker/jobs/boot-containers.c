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
#include "mgmt-agent/worker/phases/bind-alarms.h"
#include "mgmt-agent/worker/phases/flow.h"
#include "mgmt-agent/worker/phases/report.h"

#define MANAGER_WAIT_USEC (60 * USEC_PER_SEC)
#define MANAGER_POLL_USEC (200 * USEC_PER_MSEC)

/* The one that was proved, or the one of its name that somebody has made since. */
static int inspect_service(Deploy *d, const cJSON *service, cJSON **ret, Error *err)
{
    const char *id = json_string(service, "id"), *container = json_string(service, "container");
    int r = id ? podman_inspect(d->box.podman, id, ret, err) : -ENOENT;

    if (r != -ENOENT || !container)
        return r;
    error_done(err);
    return podman_inspect(d->box.podman, container, ret, err);
}

static int start_again(Deploy *d, const cJSON *service, const char *why, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *info = NULL;
    int r = inspect_service(d, service, &info, err);

    if (r < 0)
        return r;
    if (str_equal(json_string(cJSON_GetObjectItemCaseSensitive(info, "State"), "Status"), "running"))
        return 0;
    r = deploy_may_start(d, json_string(service, "name"), info, err);
    if (r == 0)
        r = podman_start(d->box.podman, json_string(info, "Id"), err);
    if (r == 0)
        report_progress(&d->report, "info", json_string(service, "name"), "%s is started again%s",
                        json_string(service, "container"), why);
    return r;
}

/* Those of `only`, or all when it is NULL. */
static int start_all(Deploy *d, const cJSON *services, const cJSON *only, const char *why)
{
    const cJSON *service;
    int failed = 0;

    cJSON_ArrayForEach(service, services) {
        _cleanup_(error_done) Error err = {};
        const char *name = json_string(service, "name");
        bool wanted = !only || (name && cJSON_HasObjectItem(only, name));
        int r = wanted && str_equal(json_string(service, "state"), "running") ? start_again(d, service, why, &err) : 0;

        if (r < 0) {
            report_progress(&d->report, "failed", name, "%s cannot be started again%s: %s [%s]",
                            json_string(service, "container"), why, error_message(&err, r), error_id(&err));
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
    d->report.phase = "start";
    if (r == 0)
        r = store_load_current(&current, &err);
    /* a snapshot that waits for its confirmation runs, too */
    wanted = d->journal.state == DEPLOY_CONFIRMING ? d->journal.project : current;
    if (r == 0 && wanted) {
        const char *id = json_string(wanted, "id"), *version = json_string(wanted, "version");

        d->report.id = strdup(id ? id : "");
        d->report.version = strdup(version ? version : "0");
        r = d->report.id && d->report.version ? box_open_again(&d->box, d->options->podman_compose, &err) : -ENOMEM;
    }
    if (r < 0) {
        log_failure(LOG_LEVEL_ERROR, NULL, &err, r, "Cannot start the containers after the boot yet, trying again");
        return EXIT_TRY_AGAIN;
    }
    if (wanted)
        deploy_review_binds(d);
    return start_all(d, cJSON_GetObjectItemCaseSensitive(wanted, "services"), NULL, " after the boot") > 0
               ? EXIT_TRY_AGAIN
               : 0;
}

/* Of the current deployment: those that the request names as members of "services". */
int job_revive(Deploy *d, const cJSON *request)
{
    const cJSON *only = cJSON_GetObjectItemCaseSensitive(request, "services");
    _cleanup_(error_done) Error err = {};
    int r = store_load_current(&d->before.current, &err);

    d->report.phase = "revive";
    d->report.id = strdup("revive");
    d->report.version =
        strdup(json_string(d->before.current, "version") ? json_string(d->before.current, "version") : "0");
    if (r == 0)
        r = d->report.id && d->report.version ? box_open_again(&d->box, d->options->podman_compose, &err) : -ENOMEM;
    if (r < 0) {
        log_failure(LOG_LEVEL_ERROR, NULL, &err, r, "Cannot start the containers that are down");
        return 1;
    }
    return start_all(d, cJSON_GetObjectItemCaseSensitive(d->before.current, "services"), only ? only : request, "") > 0;
}

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
#include "mgmt-agent/state/project.h"
#include "mgmt-agent/state/worker-request.h"
#include "mgmt-agent/worker/jobs/jobs.h"
#include "mgmt-agent/worker/phases/bind-alarms.h"
#include "mgmt-agent/worker/phases/current.h"
#include "mgmt-agent/worker/phases/flow.h"
#include "mgmt-agent/worker/phases/guests.h"
#include "mgmt-agent/worker/phases/report.h"
#include "mgmt-agent/worker/phases/start-container.h"

static int start_again(Deploy *d, const Current *current, const CurrentService *s, const char *why, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *info = NULL;
    StopRequest stop;
    int r = current_inspect(d->box.podman, s, &info, err);

    if (r < 0)
        return r;
    if (str_equal(json_string(cJSON_GetObjectItemCaseSensitive(info, "State"), "Status"), "running"))
        return 0;
    r = deploy_may_start(&d->box, project_selected(), s->name, info, err);
    if (r == 0 && podman_answer_stopping(info, &stop))
        r = podman_stop_all(d->box.podman, &stop, 1, err);
    if (r == 0)
        r = box_start_container(&d->box, json_string(info, "Id"), s->name, &d->report, err);
    if (r == 0)
        report_progress(&d->report, "info", s->name, "%s is started again%s", s->container, why);
    return r < 0 ? r : guests_follow(&d->box, project_selected(), current, s->name, &d->report, err);
}

int start_containers(Deploy *d, const Current *current, const cJSON *only, const char *why)
{
    int failed = 0;

    for (size_t i = 0; current && i < current->n_services; i++) {
        const CurrentService *s = &current->services[i];
        _cleanup_(error_done) Error err = {};
        bool wanted = !only || (s->name && cJSON_HasObjectItem(only, s->name));
        int r = wanted && current_service_runs(s) ? start_again(d, current, s, why, &err) : 0;

        if (r < 0) {
            report_progress(&d->report, "failed", s->name, "%s cannot be started again%s: %s [%s]", s->container, why,
                            error_message(&err, r), error_id(&err));
            failed++;
        }
    }
    current_note_processes(d->box.podman);
    return failed;
}

static int start_project(Deploy *d, bool *reviewed)
{
    _cleanup_(error_done) Error err = {};
    const Current *wanted;
    bool waits;
    int r = journal_load(&d->journal, &err);

    d->report.phase = "start";
    if (r == 0)
        r = current_load(&d->before.current, &err);
    /* a snapshot that waits for its confirmation runs, too */
    waits = d->journal.state == DEPLOY_CONFIRMING && journal_is_of_selected(&d->journal);
    wanted = waits ? d->journal.project : d->before.current;
    if (r == 0 && wanted) {
        d->report.id = strdup(wanted->id ? wanted->id : "");
        d->report.version = strdup(wanted->version ? wanted->version : "0");
        r = d->report.id && d->report.version ? box_open_again(&d->box, d->options->podman_compose, &err) : -ENOMEM;
    }
    if (r < 0) {
        log_failure(LOG_LEVEL_ERROR, NULL, &err, r, "Cannot start the containers after the boot yet, trying again");
        return EXIT_TRY_AGAIN;
    }
    if (wanted && !*reviewed) {
        deploy_review_binds(&d->box, &d->report);
        *reviewed = true;
    }
    return start_containers(d, wanted, NULL, " after the boot") > 0 ? EXIT_TRY_AGAIN : 0;
}

static int start_one(const Deploy *d, const char *name, bool *reviewed)
{
    _cleanup_(project_leave) ProjectScope scope _unused_ = project_enter(name);
    _cleanup_(deploy_done) Deploy one = { .options = d->options };

    return project_is_stopped() ? 0 : start_project(&one, reviewed);
}

/* The box's own comes first, whatever is wrong with the others; none of these keeps another one down, or has the box's own services
 * wait for it: the agent has them started once more behind that. */
int job_start(Deploy *d, const cJSON *request)
{
    _cleanup_(strv_freep) char **others = NULL;
    bool only_others = json_bool(request, "onlyOthers", false), reviewed = only_others;
    int own = only_others ? 0 : start_one(d, NULL, &reviewed), rest = project_list(&others);

    if (rest < 0)
        log_error("Which other projects there are cannot be read: %s", strerror(-rest));
    for (char **name = others; name && *name; name++)
        if (start_one(d, *name, &reviewed) != 0) {
            log_error("Not all of project %s runs again since the boot", *name);
            rest = EXIT_TRY_AGAIN;
        }
    return own != 0 ? own : rest != 0 ? EXIT_OTHERS_TRY_AGAIN : 0;
}

/* Of the current deployment: those that the request names as members of "services". */
int job_revive(Deploy *d, const cJSON *request)
{
    const cJSON *only = cJSON_GetObjectItemCaseSensitive(request, "services");
    _cleanup_(error_done) Error err = {};
    int r = current_load(&d->before.current, &err);

    d->report.phase = "revive";
    d->report.id = strdup("revive");
    d->report.version = strdup(d->before.current && d->before.current->version ? d->before.current->version : "0");
    if (r == 0)
        r = d->report.id && d->report.version ? box_open_again(&d->box, d->options->podman_compose, &err) : -ENOMEM;
    if (r < 0) {
        log_failure(LOG_LEVEL_ERROR, NULL, &err, r, "Cannot start the containers that are down");
        return 1;
    }
    return start_containers(d, d->before.current, only ? only : request, "") > 0;
}

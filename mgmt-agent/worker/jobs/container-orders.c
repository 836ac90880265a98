/* SPDX-License-Identifier: MIT */
/* One service of the current deployment: its container started again, or made anew. Asked for by recovery-agent when the box's
 * main way does not serve, and by people. */

#include <errno.h>
#include <string.h>

#include "lib/base/strv.h"
#include "lib/tunnel/message.h"
#include "mgmt-agent/state/project.h"
#include "mgmt-agent/worker/jobs/jobs.h"
#include "mgmt-agent/worker/jobs/update.h"
#include "mgmt-agent/worker/phases/bind-alarms.h"
#include "mgmt-agent/worker/phases/check-file.h"
#include "mgmt-agent/worker/phases/current.h"
#include "mgmt-agent/worker/phases/flow.h"
#include "mgmt-agent/worker/phases/guests.h"
#include "mgmt-agent/worker/phases/report.h"
#include "mgmt-agent/worker/phases/sequence.h"
#include "mgmt-agent/worker/phases/start-container.h"

/* A container that hangs does not answer its signal: whoever waits for it waits in vain. */
#define GRACE_MAX_SECONDS 10
#define POLL_USEC (250 * USEC_PER_MSEC)

static int unknown_service(const char *name, Error *err)
{
    return error_set(err, ENOENT, "container.unknown", "the current deployment has no service \"%.64s\"", name);
}

static int find_container(Deploy *d, const CurrentService *s, cJSON **ret, Error *err)
{
    int r = current_inspect(d->box.podman, s, ret, err);

    if (r != -ENOENT)
        return r;
    error_done(err);
    return error_set(err, r, "container.missing", "service %s has no container; one has to be made anew", s->name);
}

/* It runs, and goes on running for the settle time. */
static int prove_running(Deploy *d, const char *container, Error *err)
{
    usec_t until = boottime_usec() + d->options->settle_usec;

    for (;;) {
        _cleanup_(cJSON_Deletep) cJSON *info = NULL;
        const cJSON *state;
        int r = podman_inspect(d->box.podman, container, &info, err);

        if (r < 0)
            return r;
        state = cJSON_GetObjectItemCaseSensitive(info, "State");
        if (!str_equal(json_string(state, "Status"), "running"))
            return error_set(err, EIO, "container.not-running", "the container was started and is %s",
                             json_string(state, "Status") ? json_string(state, "Status") : "gone");
        if (boottime_usec() >= until)
            return 0;
        usleep(POLL_USEC);
    }
}

static unsigned grace_of(const Deploy *d, const char *name)
{
    const ComposeService *s = d->before.project ? compose_service_find(d->before.project, name) : NULL;

    return s && s->stop_grace_seconds < GRACE_MAX_SECONDS ? s->stop_grace_seconds : GRACE_MAX_SECONDS;
}

static int restart(Deploy *d, const CurrentService *s, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *info = NULL;
    const char *container;
    int r = box_open_again(&d->box, d->options->podman_compose, err);

    if (r == 0)
        r = find_container(d, s, &info, err);
    if (r < 0)
        return r;
    container = json_string(info, "Id") ? json_string(info, "Id") : s->container;
    r = podman_stop_all(d->box.podman, &(StopRequest) { container, grace_of(d, s->name) }, 1, err);
    if (r == 0)
        r = deploy_may_start(&d->box, project_selected(), s->name, info, err);
    if (r == 0)
        r = box_start_container(&d->box, container, s->name, &d->report, err);
    if (r == 0)
        r = guests_follow(&d->box, project_selected(), d->before.current, s->name, &d->report, err);
    if (r == 0) {
        current_note_processes(d->box.podman);
        deploy_review_binds(&d->box, &d->report);
    }
    return r == 0 ? prove_running(d, container, err) : r;
}

static int emit_result(const Deploy *d, const Error *failure, int r)
{
    _cleanup_(cJSON_Deletep) cJSON *m = message_new("container.result");

    if (m && json_add_string(m, "id", d->report.id) == 0 && json_add_bool(m, "ok", r == 0) == 0 &&
        (r == 0 || json_add_item(m, "error", json_from_error(failure, r)) == 0))
        report_emit(m);
    return r == 0 ? 0 : 1;
}

/* The journal is not asked and not written: nothing becomes different, and no later worker has to undo it. */
int job_restart(Deploy *d, const cJSON *request)
{
    _cleanup_(error_done) Error err = {};
    const cJSON *message;
    const CurrentService *service;
    int r = deploy_take_message(d, request, &message);
    const char *name = json_string(message, "service");

    d->report.phase = "restart";
    if (r == 0)
        r = current_load(&d->before.current, &err);
    d->before.project = current_to_project(d->before.current);
    service = current_find(d->before.current, name);
    if (r == 0)
        r = service ? restart(d, service, &err) : unknown_service(name ? name : "", &err);
    if (r == 0)
        report_progress(&d->report, "info", name, "the container of %s is started again and runs", name);
    else
        report_progress(&d->report, "failed", name, "the container of %s was to be started again: %s [%s]", name,
                        error_message(&err, r), error_id(&err));
    return emit_result(d, &err, r);
}

static int begin(Deploy *d, const cJSON *message, Error *err)
{
    const char *name = json_string(message, "service");
    int r = update_load_deployed(d, err);

    if (r == 0 && !current_find(d->before.current, name))
        r = unknown_service(name ? name : "", err);
    if (r < 0)
        return r;
    d->journal.kind = strdup(KIND_RECREATE);
    if (!d->journal.kind || strv_add(&d->order.only, name) < 0 || strv_add(&d->order.again, name) < 0)
        return -ENOMEM;
    return flow_begin(d, err);
}

static int prepare(Deploy *d, const cJSON *message, Error *err)
{
    int r = deploy_verify_update(&d->order, &d->box, &d->report, message, err);

    return r == 0 ? phases_run(d, PHASE_PARSE, PHASE_PULL, err) : r;
}

/* A deployment like any other, of one service whose image and settings stay: with proof, journal and way back. */
int job_recreate(Deploy *d, const cJSON *request)
{
    _cleanup_(error_done) Error err = {};
    const cJSON *message;
    int r = deploy_take_message(d, request, &message);

    d->report.phase = "verify";
    if (r == 0)
        r = begin(d, message, &err);
    if (r < 0)
        return flow_refuse(d, &err, r);
    r = prepare(d, message, &err);
    return r < 0 ? flow_fail_untouched(d, &err, r) : flow_change(d);
}

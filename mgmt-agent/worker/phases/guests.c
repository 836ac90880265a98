/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/worker/phases/guests.h"

#include <errno.h>

#include "lib/base/strv.h"
#include "mgmt-agent/worker/phases/bind-alarms.h"
#include "mgmt-agent/worker/phases/current.h"
#include "mgmt-agent/worker/phases/report.h"

/* 1 when it was started again. */
static int follow(const Box *box, const char *project, const CurrentService *s, unsigned grace, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *info = NULL;
    const char *id;
    int r = current_inspect(box->podman, s, &info, err);

    if (r == -ENOENT) {
        error_done(err);
        return 0;
    }
    if (r < 0)
        return r;
    id = json_string(info, "Id") ? json_string(info, "Id") : s->container;
    if (!str_equal(json_string(cJSON_GetObjectItemCaseSensitive(info, "State"), "Status"), "running"))
        return 0;
    r = podman_stop_all(box->podman, &(StopRequest) { id, grace }, 1, err);
    if (r == 0)
        r = deploy_may_start(box, project, s->name, info, err);
    if (r == 0)
        r = podman_start(box->podman, id, err);
    return r == 0 ? 1 : r;
}

int guests_follow(const Box *box, const char *project, const Current *current, const char *owner, Report *report,
                  Error *err)
{
    _cleanup_(compose_project_freep) ComposeProject *p = current_to_project(current);
    char *const names[] = { (char *) owner, NULL };
    int first = p ? 0 : -ENOMEM;

    for (size_t i = 0; p && owner && i < current->n_services; i++) {
        _cleanup_(error_done) Error reason = {};
        int r = 0;

        if (compose_lives_in(p, &p->services[i], names))
            r = follow(box, project, &current->services[i], p->services[i].stop_grace_seconds, &reason);
        if (r > 0)
            report_progress(report, "info", current->services[i].name,
                            "%s is started again, too: it lives in the network of %s", current->services[i].container,
                            owner);
        if (r < 0 && first == 0)
            first = error_set(err, r, error_id(&reason), "service %s, which lives in the network of %s: %s",
                              current->services[i].name, owner, error_message(&reason, r));
    }
    return first;
}

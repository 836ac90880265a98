/* SPDX-License-Identifier: MIT */
/* Lifecycle hooks: commands that a service's labels name, run by a shell in its own container, with its own rights only. */

#include "mgmt-agent/worker/phases/hooks.h"

#include <errno.h>

#include "lib/base/strv.h"
#include "mgmt-agent/worker/phases/report.h"

#define EXIT_NOT_NOW 75 /* EX_TEMPFAIL of sysexits.h */

int update_run_hook(Box *b, Report *report, const char *container, const char *service, WatchHook h, Error *err)
{
    _cleanup_(watch_labels_done) WatchLabels l = {};
    _cleanup_(cJSON_Deletep) cJSON *info = NULL;
    _cleanup_(cJSON_Deletep) cJSON *argv = NULL;
    const cJSON *config;
    int r = podman_inspect(b->podman, container, &info, err);

    if (r < 0)
        return r;
    config = cJSON_GetObjectItemCaseSensitive(info, "Config");
    r = watch_labels_read(cJSON_GetObjectItemCaseSensitive(config, "Labels"), &l);
    if (r < 0)
        return error_set(err, r, "update.failed", "no memory");
    if (!l.hooks[h] || !str_equal(json_string(cJSON_GetObjectItemCaseSensitive(info, "State"), "Status"), "running"))
        return 0;
    argv = cJSON_CreateStringArray((const char *[]) { "/bin/sh", "-c", l.hooks[h] }, 3);
    if (!argv)
        return error_set(err, ENOMEM, "update.failed", "no memory");
    report_progress(report, "info", service, "running its %s hook", watch_hook_to_string(h));
    return podman_exec(b->podman, container, argv, l.hook_timeout[h], err);
}

static int judge(const char *service, WatchHook h, int status, Error *err)
{
    if (status <= 0)
        return status < 0 ? error_prefix(err, status, "the %s hook of service %s", watch_hook_to_string(h), service)
                          : 0;
    if (h == HOOK_PRE_UPDATE && status == EXIT_NOT_NOW)
        return error_set(err, EAGAIN, "update.not-now",
                         "service %s asks not to be updated now (its pre-update hook ended with 75)", service);
    return error_set_at(err, EIO, "update.hook", NULL, 0, service,
                        "the %s hook of service %s ended with status %d (124: not within its timeout)",
                        watch_hook_to_string(h), service, status);
}

int update_run_hooks(Box *b, Report *report, const Plan *plan, WatchHook h, Error *err)
{
    for (size_t i = 0; i < plan->n_steps; i++) {
        const PlanStep *step = &plan->steps[i];
        const char *container = h == HOOK_PRE_UPDATE ? step->old_id : step->container;
        int r;

        if (step->action != PLAN_REPLACE || !container)
            continue;
        r = judge(step->service, h, update_run_hook(b, report, container, step->service, h, err), err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* SPDX-License-Identifier: MIT */
/* One look at each container; only a hook changes anything, and only in there. */

#include "mgmt-agent/worker/jobs/inspect.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/strv.h"
#include "lib/base/proc.h"
#include "mgmt-agent/worker/phases/bind-alarms.h"
#include "mgmt-agent/worker/phases/hooks.h"
#include "mgmt-agent/worker/phases/report.h"

static bool is_wanted(const cJSON *wanted, const char *name)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, wanted)
        if (str_equal(cJSON_GetStringValue(item), name))
            return true;
    return !wanted;
}

static int add_facts(cJSON *o, const cJSON *info)
{
    const cJSON *state = cJSON_GetObjectItemCaseSensitive(info, "State");
    const cJSON *pid = cJSON_GetObjectItemCaseSensitive(state, "Pid");
    int number = cJSON_IsNumber(pid) && pid->valueint > 0 ? pid->valueint : 0;

    return json_add_string(o, "id", json_string(info, "Id")) < 0 ||
                   json_add_string(o, "imageId", json_string(info, "Image")) < 0 ||
                   json_add_string(o, "state", json_string(state, "Status")) < 0 ||
                   json_add_string(o, "staticDir", json_string(info, "StaticDir")) < 0 ||
                   json_add_int(o, "pid", number) < 0 ||
                   json_add_u64(o, "startTicks", number > 0 ? process_start_ticks(number) : 0) < 0
               ? -ENOMEM
               : 0;
}

static int add_name(Deploy *d, cJSON *o, const char *image)
{
    _cleanup_(freep) char *id = NULL;

    if (!image || strchr(image, '@') || podman_image_id(d->box.podman, image, &id, NULL) < 0)
        return 0;
    return json_add_string(o, "nameImageId", id);
}

/* Of what somebody started by hand. */
static void keep_unknown(Deploy *d, const CurrentService *s, const char *image_id)
{
    char tag[33];

    if (!image_id || strlen(image_id) < 32 || str_equal(s->image_id, image_id))
        return;
    snprintf(tag, sizeof(tag), "%.32s", image_id);
    if (podman_tag(d->box.podman, image_id, KEEP_REPOSITORY, tag, NULL) < 0)
        report_progress(&d->report, "info", s->name, "could not tag image %.12s to keep it", image_id);
}

static int inspect_container(Deploy *d, const CurrentService *s, WatchHook hook, cJSON *all)
{
    _cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
    _cleanup_(cJSON_Deletep) cJSON *info = NULL;
    int r = o ? 0 : -ENOMEM;

    if (r < 0 || !s->name || !s->container || podman_inspect(d->box.podman, s->container, &info, NULL) < 0)
        return r;
    if (json_add_string(o, "service", s->name) < 0 || add_facts(o, info) < 0 || add_name(d, o, s->image) < 0)
        return -ENOMEM;
    keep_unknown(d, s, json_string(info, "Image"));
    if (hook < _HOOK_MAX) {
        _cleanup_(error_done) Error err = {};
        int status = update_run_hook(&d->box, &d->report, s->container, s->name, hook, &err);

        if (status < 0)
            report_progress(&d->report, "info", s->name, "its %s hook: %s", watch_hook_to_string(hook),
                            error_message(&err, status));
        else if (status > 0)
            report_progress(&d->report, "info", s->name, "its %s hook ended with status %d", watch_hook_to_string(hook),
                            status);
        r = json_add_int(o, "hookStatus", status < 0 ? 1 : status);
    }
    return r == 0 ? json_append(all, TAKE_PTR(o)) : r;
}

static WatchHook hook_from(const char *name)
{
    for (size_t h = 0; name && h < _HOOK_MAX; h++)
        if (str_equal(name, watch_hook_to_string((WatchHook) h)))
            return (WatchHook) h;
    return _HOOK_MAX;
}

static int inspect_all(Deploy *d, const cJSON *request, cJSON *answer)
{
    const cJSON *wanted = cJSON_GetObjectItemCaseSensitive(request, "services");
    const Current *current = d->before.current;
    const cJSON *hooked = cJSON_GetObjectItemCaseSensitive(request, "hooked");
    WatchHook hook = hook_from(json_string(request, "hook"));
    cJSON *all = cJSON_CreateArray();
    const char *store = NULL;
    int r = json_add_item(answer, "services", all);

    deploy_review_binds(&d->box, &d->report);
    if (r == 0 && podman_graphroot(d->box.podman, &store, NULL) == 0)
        r = json_add_string(answer, "graphRoot", store);
    for (size_t i = 0; r == 0 && current && i < current->n_services; i++) {
        const CurrentService *s = &current->services[i];

        if (is_wanted(wanted, s->name))
            r = inspect_container(d, s, is_wanted(hooked, s->name) ? hook : _HOOK_MAX, all);
    }
    return r;
}

int job_inspect(Deploy *d, const cJSON *request)
{
    _cleanup_(cJSON_Deletep) cJSON *answer = cJSON_CreateObject();
    _cleanup_(error_done) Error err = {};
    int r = answer ? json_add_string(answer, "type", "worker.inspect") : -ENOMEM;

    d->report.phase = "inspect";
    d->report.id = strdup("inspect");
    d->report.version = strdup("0");
    if (r == 0)
        r = current_load(&d->before.current, &err);
    if (r == 0)
        r = box_open_again(&d->box, d->options->podman_compose, &err);
    if (r == 0)
        r = inspect_all(d, request, answer);
    if (r < 0 && (!answer || json_add_item(answer, "error", json_from_error(&err, r)) < 0))
        return 1;
    report_emit(answer);
    return r < 0;
}

/* SPDX-License-Identifier: MIT */
/* What is committed: enough to say at once, without a child process, that the same snapshot runs already, and enough to
 * explain the next plan. */

#include "mgmt-agent/worker/phases/current.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/strv.h"
#include "mgmt-agent/state/proc.h"
#include "mgmt-agent/state/snapshot-store.h"
#include "mgmt-agent/state/watch-labels.h"
#include "mgmt-agent/state/way-back.h"
#include "mgmt-agent/worker/phases/update-images.h"

#define STOP_GRACE_DEFAULT_SECONDS 10

static int add_strings(cJSON *o, const char *key, char *const *v)
{
    cJSON *array = cJSON_CreateArray();
    int r = json_add_item(o, key, array);

    for (; r == 0 && v && *v; v++)
        r = json_append(array, cJSON_CreateString(*v));
    return r;
}

const cJSON *current_service(const cJSON *current, const char *name)
{
    const cJSON *service;

    cJSON_ArrayForEach(service, cJSON_GetObjectItemCaseSensitive(current, "services"))
        if (str_equal(json_string(service, "name"), name))
            return service;
    return NULL;
}

/* The last good one before `image`: what it ran until now, or, when that is the same, what it ran before that. */
static const char *previous_image(const Deploy *d, const char *name, const char *image)
{
    const cJSON *before = current_service(d->before.current, name);
    const char *id = json_string(before, "imageId");

    return id && !str_equal(id, image) ? id : json_string(before, "previousImageId");
}

static const cJSON *labels_of(const cJSON *info)
{
    return cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(info, "Config"), "Labels");
}

static cJSON *service_to_json(const Deploy *d, const ComposeService *s)
{
    _cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
    _cleanup_(cJSON_Deletep) cJSON *asked = NULL;
    const cJSON *info = d->proof.inspections ? map_get(d->proof.inspections, s->name) : NULL, *state, *pid;

    if (!o || (!info && podman_inspect(d->box.podman, s->container_name, &asked, NULL) < 0))
        return NULL;
    if (!info)
        info = asked;
    state = cJSON_GetObjectItemCaseSensitive(info, "State");
    pid = cJSON_GetObjectItemCaseSensitive(state, "Pid");
    if (json_add_string(o, "name", s->name) < 0 || json_add_string(o, "container", s->container_name) < 0 ||
        json_add_string(o, "id", json_string(info, "Id")) < 0 || json_add_string(o, "image", s->image) < 0 ||
        json_add_string(o, "imageId", json_string(info, "Image")) < 0 ||
        json_add_string(o, "previousImageId", previous_image(d, s->name, json_string(info, "Image"))) < 0 ||
        json_add_item(o, "labels", watch_labels_select(labels_of(info))) < 0 ||
        json_add_string(o, "hash", s->config_hash) < 0 ||
        json_add_string(o, "state", json_string(state, "Status")) < 0 ||
        json_add_string(o, "staticDir", json_string(info, "StaticDir")) < 0 ||
        json_add_string(o, "pidFile", json_string(info, "PidFile")) < 0 ||
        json_add_string(o, "health", json_string(cJSON_GetObjectItemCaseSensitive(state, "Health"), "Status")) < 0 ||
        json_add_int(o, "pid", cJSON_IsNumber(pid) ? pid->valueint : 0) < 0 ||
        json_add_u64(o, "startTicks",
                     cJSON_IsNumber(pid) && pid->valueint > 0 ? process_start_ticks(pid->valueint) : 0) < 0 ||
        add_strings(o, "hostPorts", s->host_ports) < 0 ||
        json_add_item(o, "environment", cJSON_Duplicate(s->environment, 1)) < 0 ||
        json_add_item(o, "config", cJSON_Duplicate(s->config, 1)) < 0)
        return NULL;
    return TAKE_PTR(o);
}

/* Behind a rollback: the one before it, never the one that it left. */
static int add_previous_of_rollback(const Deploy *d, cJSON *o)
{
    _cleanup_(cJSON_Deletep) cJSON *history = NULL;
    _cleanup_(strv_freep) char **kept = NULL;
    int r = store_list_snapshots(&kept);

    if (r < 0 || store_load_history(STORE_HISTORY_MAX, &history, NULL) < 0)
        return r;
    return json_add_string(o, "previous",
                           way_back_find(history, d->order.sha256, json_string(d->before.current, "sha256"), kept));
}

/* What `rollback` goes back to. The same text again changes nothing of that. */
static int add_previous(const Deploy *d, cJSON *o)
{
    bool same = str_equal(json_string(d->before.current, "sha256"), d->order.sha256);

    if (d->order.goes_back && !same)
        return add_previous_of_rollback(d, o);
    return json_add_string(o, "previous", json_string(d->before.current, same ? "previous" : "version"));
}

/* The digest that the cloud has ordered for it holds until another change of its image. */
static int note_order(const Deploy *d, const cJSON *before, cJSON *service)
{
    const cJSON *update = update_item(d, json_string(service, "name"));
    const char *ordered = !update               ? json_string(before, "ordered")
                          : d->order.from_cloud ? json_string(update, "digest")
                                                : NULL;
    _cleanup_(freep) char *copy = ordered ? strdup(ordered) : NULL;

    cJSON_DeleteItemFromObjectCaseSensitive(service, "ordered");
    return ordered && !copy ? -ENOMEM : json_add_string(service, "ordered", copy);
}

/* What a limited change leaves of the deployment that it changed: all but the services that it replaced. What those others ran
 * with, and what the file's inputs were, stays as it was. */
static cJSON *current_with_changes(const Deploy *d, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *o = cJSON_Duplicate(d->before.current, 1);
    cJSON *services = cJSON_GetObjectItemCaseSensitive(o, "services");
    char at[TIMESTAMP_SIZE];
    int r = services ? 0 : -ENOMEM;

    cJSON_DeleteItemFromObjectCaseSensitive(o, "id");
    cJSON_DeleteItemFromObjectCaseSensitive(o, "at");
    if (r == 0 && (json_add_string(o, "id", d->report.id) < 0 ||
                   json_add_string(o, "at", timestamp_format(realtime_usec(), at)) < 0))
        r = -ENOMEM;
    for (int i = 0; r == 0 && i < cJSON_GetArraySize(services); i++) {
        const char *name = json_string(cJSON_GetArrayItem(services, i), "name");
        const ComposeService *s =
            name && deploy_change_of(d, name) ? compose_service_find(d->target.project, name) : NULL;
        cJSON *changed = s ? service_to_json(d, s) : NULL;

        if (s && !changed)
            r = -ENOMEM;
        else
            r = note_order(d, cJSON_GetArrayItem(services, i), changed ? changed : cJSON_GetArrayItem(services, i));
        if (changed && (r < 0 || !cJSON_ReplaceItemInArray(services, i, changed))) {
            cJSON_Delete(changed);
            r = -ENOMEM;
        }
    }
    if (r < 0) {
        error_set(err, r, "store.current", "cannot describe what runs now");
        return NULL;
    }
    return TAKE_PTR(o);
}

cJSON *current_from_deploy(const Deploy *d, Error *err)
{
    if (d->order.only)
        return current_with_changes(d, err);

    _cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
    _cleanup_(freep) char *inputs = NULL;
    cJSON *services = cJSON_CreateArray();
    char at[TIMESTAMP_SIZE];
    int r = o ? json_add_item(o, "services", services) : -ENOMEM;

    if (r == 0)
        r = store_inputs_digest(d->order.text, &inputs, err);
    if (r == 0 && (json_add_string(o, "version", d->report.version) < 0 || json_add_string(o, "id", d->report.id) < 0 ||
                   json_add_string(o, "sha256", d->order.sha256) < 0 || json_add_string(o, "inputs", inputs) < 0 ||
                   json_add_string(o, "at", timestamp_format(realtime_usec(), at)) < 0 ||
                   json_add_string(o, "name", d->target.project->name) < 0 || add_previous(d, o) < 0 ||
                   json_add_item(o, "networks", cJSON_Duplicate(d->target.project->networks, 1)) < 0 ||
                   json_add_item(o, "volumes", cJSON_Duplicate(d->target.project->volumes, 1)) < 0))
        r = -ENOMEM;
    for (size_t i = 0; r == 0 && i < d->target.project->n_services; i++)
        r = json_append(services, service_to_json(d, &d->target.project->services[i]));
    if (r < 0) {
        error_set(err, r, "store.current", "cannot describe what runs now");
        return NULL;
    }
    return TAKE_PTR(o);
}

/* "Ns" in the service's normal form; podman's own 10 s where it says nothing. */
static unsigned grace_from_config(const cJSON *config)
{
    const char *text = json_string(config, "stop_grace_period");
    _cleanup_(freep) char *digits = text ? strndup(text, strspn(text, "0123456789")) : NULL;
    uint64_t seconds;

    return digits && str_to_u64(digits, 0, UINT32_MAX, &seconds) == 0 ? (unsigned) seconds : STOP_GRACE_DEFAULT_SECONDS;
}

static int load_service(const cJSON *o, ComposeService *s)
{
    const cJSON *port;
    const char *hash = json_string(o, "hash");

    s->name = strdup(json_string(o, "name") ? json_string(o, "name") : "");
    s->container_name = strdup(json_string(o, "container") ? json_string(o, "container") : "");
    s->image = strdup(json_string(o, "image") ? json_string(o, "image") : "");
    s->restart = strdup("no");
    s->environment = cJSON_Duplicate(cJSON_GetObjectItemCaseSensitive(o, "environment"), 1);
    s->config = cJSON_Duplicate(cJSON_GetObjectItemCaseSensitive(o, "config"), 1);
    s->stop_grace_seconds = grace_from_config(s->config);
    if (hash)
        snprintf(s->config_hash, sizeof(s->config_hash), "%s", hash);
    cJSON_ArrayForEach(port, cJSON_GetObjectItemCaseSensitive(o, "hostPorts"))
        if (cJSON_IsString(port) && strv_add(&s->host_ports, port->valuestring) < 0)
            return -ENOMEM;
    return s->name && s->container_name && s->image && s->restart && s->environment && s->config ? 0 : -ENOMEM;
}

ComposeProject *current_to_project(const cJSON *current)
{
    const cJSON *services = cJSON_GetObjectItemCaseSensitive(current, "services"), *service;
    _cleanup_(compose_project_freep) ComposeProject *p = NULL;

    if (!current || !(p = calloc(1, sizeof(*p))))
        return NULL;
    p->name = strdup(json_string(current, "name") ? json_string(current, "name") : "");
    p->networks = cJSON_Duplicate(cJSON_GetObjectItemCaseSensitive(current, "networks"), 1);
    p->volumes = cJSON_Duplicate(cJSON_GetObjectItemCaseSensitive(current, "volumes"), 1);
    p->services = calloc((size_t) cJSON_GetArraySize(services) + 1, sizeof(*p->services));
    if (!p->name || !p->services)
        return NULL;
    cJSON_ArrayForEach(service, services)
        if (load_service(service, &p->services[p->n_services++]) < 0)
            return NULL;
    return TAKE_PTR(p);
}

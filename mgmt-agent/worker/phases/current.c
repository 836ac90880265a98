/* SPDX-License-Identifier: MIT */
/* What is committed: enough to say at once, without a child process, that the same snapshot runs already, and enough to
 * explain the next plan. */

#include "mgmt-agent/worker/phases/current.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "compose/parse/stated-name.h"
#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "lib/base/proc.h"
#include "mgmt-agent/state/snapshot-store.h"
#include "mgmt-agent/state/watch-labels.h"
#include "mgmt-agent/state/way-back.h"

#define STOP_GRACE_DEFAULT_SECONDS 10

/* The last good one before its image: what it ran until now, or, when that is the same, what it ran before that. */
static int note_previous_image(const CurrentService *before, CurrentService *s)
{
    bool other = before && before->image_id && !str_equal(before->image_id, s->image_id);

    if (!before)
        return 0;
    return json_set(&s->previous_image_id, other ? before->image_id : before->previous_image_id) < 0
               ? -ENOMEM
               : json_set(&s->previous_image, other ? before->image : before->previous_image);
}

/* What the compose file says of it. */
static int describe_service(const ComposeService *s, CurrentService *ret)
{
    ret->environment = cJSON_Duplicate(s->environment, 1);
    ret->config = cJSON_Duplicate(s->config, 1);
    return !ret->environment || !ret->config || json_set(&ret->name, s->name) < 0 ||
                   json_set(&ret->replica_of, s->replica_of) < 0 || json_set(&ret->container, s->container_name) < 0 ||
                   json_set(&ret->image, s->image) < 0 || json_set(&ret->hash, s->config_hash) < 0 ||
                   json_set(&ret->pull_policy, s->pull_policy) < 0 || strv_copy(s->host_ports, &ret->host_ports) < 0
               ? -ENOMEM
               : 0;
}

/* What podman says of its container. */
static int describe_container(const Current *before, const cJSON *info, CurrentService *ret)
{
    const cJSON *state = cJSON_GetObjectItemCaseSensitive(info, "State");
    const cJSON *pid = cJSON_GetObjectItemCaseSensitive(state, "Pid");
    const cJSON *config = cJSON_GetObjectItemCaseSensitive(info, "Config");
    const char *health = json_string(cJSON_GetObjectItemCaseSensitive(state, "Health"), "Status");

    ret->labels = watch_labels_select(cJSON_GetObjectItemCaseSensitive(config, "Labels"));
    ret->pid = cJSON_IsNumber(pid) ? pid->valueint : 0;
    ret->health_interval = podman_health_interval(info);
    ret->start_ticks = ret->pid > 0 ? process_start_ticks(ret->pid) : 0;
    return !ret->labels || json_set(&ret->id, json_string(info, "Id")) < 0 ||
                   json_set(&ret->image_id, json_string(info, "Image")) < 0 ||
                   note_previous_image(current_find(before, ret->name), ret) < 0 ||
                   json_set(&ret->state, json_string(state, "Status")) < 0 ||
                   json_set(&ret->static_dir, json_string(info, "StaticDir")) < 0 ||
                   json_set(&ret->pid_file, json_string(info, "PidFile")) < 0 || json_set(&ret->health, health) < 0
               ? -ENOMEM
               : 0;
}

static int describe(const Deploy *d, const ComposeService *s, CurrentService *ret)
{
    _cleanup_(cJSON_Deletep) cJSON *asked = NULL;
    const cJSON *info = d->proof.inspections ? map_get(d->proof.inspections, s->name) : NULL;

    if (!info && podman_inspect(d->box.podman, s->container_name, &asked, NULL) < 0)
        return -ENOMEM;
    return describe_service(s, ret) < 0 ? -ENOMEM : describe_container(d->before.current, info ? info : asked, ret);
}

/* Behind a rollback: the one before it, never the one that it left. */
static int set_previous_of_rollback(const char *sha256, const char *left, Current *c)
{
    _cleanup_(cJSON_Deletep) cJSON *history = NULL;
    _cleanup_(strv_freep) char **kept = NULL;
    int r = store_list_snapshots(&kept);

    if (r < 0 || store_load_history(STORE_HISTORY_MAX, &history, NULL) < 0)
        return r;
    return json_set(&c->previous, way_back_find(history, sha256, left, kept));
}

/* What `rollback` goes back to. The same text again changes nothing of that. */
static int set_previous(const DeployOrder *order, const Current *before, Current *c)
{
    bool same = before && str_equal(before->sha256, order->sha256);

    if (order->goes_back && !same)
        return set_previous_of_rollback(order->sha256, before ? before->sha256 : NULL, c);
    return before ? json_set(&c->previous, same ? before->previous : before->version) : 0;
}

/* The digest that the cloud has ordered for it holds until another change of its image. */
static int note_order(const Journal *j, bool from_cloud, const char *ordered, CurrentService *s)
{
    const ImageUpdate *update = journal_find_update(j, s->name);

    return json_set(&s->ordered, !update ? ordered : from_cloud ? update->digest : NULL);
}

static int change_service(const Deploy *d, CurrentService *s)
{
    const ComposeService *made =
        s->name && deploy_change_of(&d->journal, s->name) ? compose_service_find(d->target.project, s->name) : NULL;
    CurrentService changed = {};
    int r = made ? describe(d, made, &changed) : 0;

    if (r == 0)
        r = note_order(&d->journal, d->order.from_cloud, s->ordered, made ? &changed : s);
    if (made && r == 0)
        current_service_replace(s, &changed);
    current_service_done(&changed);
    return r;
}

/* What a limited change leaves of the deployment that it changed: all but the services that it replaced. What those others ran
 * with, and what the file's inputs were, stays as it was. */
static Current *current_with_changes(const Deploy *d)
{
    _cleanup_(current_freep) Current *c = d->before.current ? current_copy(d->before.current) : NULL;
    int r = c ? json_set(&c->id, d->report.id) : -ENOMEM;

    for (size_t i = 0; r == 0 && i < c->n_services; i++)
        r = change_service(d, &c->services[i]);
    if (r < 0)
        return NULL;
    c->at = realtime_usec();
    return TAKE_PTR(c);
}

static Current *current_of_project(const Deploy *d, Error *err)
{
    const ComposeProject *p = d->target.project;
    _cleanup_(current_freep) Current *c = calloc(1, sizeof(*c));
    _cleanup_(freep) char *stated = NULL;
    int r = c ? store_inputs_digest(d->order.text, d->order.bundle, &c->inputs, err) : -ENOMEM;

    if (r >= 0)
        r = compose_stated_name(compose_file_root(d->target.file), &stated);
    if (r < 0)
        return NULL;
    c->at = realtime_usec();
    c->networks = cJSON_Duplicate(p->networks, 1);
    c->volumes = cJSON_Duplicate(p->volumes, 1);
    c->services = calloc(p->n_services + 1, sizeof(*c->services));
    if (!c->networks || !c->volumes || !c->services || json_set(&c->version, d->report.version) < 0 ||
        json_set(&c->id, d->report.id) < 0 || json_set(&c->sha256, d->order.sha256) < 0 ||
        json_set(&c->name, p->name) < 0 || json_set(&c->file_name, stated ? stated : "") < 0 ||
        set_previous(&d->order, d->before.current, c) < 0)
        return NULL;
    for (size_t i = 0; i < p->n_services; i++)
        if (describe(d, &p->services[i], &c->services[c->n_services++]) < 0)
            return NULL;
    return TAKE_PTR(c);
}

Current *current_from_deploy(const Deploy *d, Error *err)
{
    Current *c = d->order.only ? current_with_changes(d) : current_of_project(d, err);

    if (!c)
        error_set(err, ENOMEM, "store.current", "cannot describe what runs now");
    return c;
}

/* "Ns" in the service's normal form; podman's own 10 s where it says nothing. */
static unsigned grace_from_config(const cJSON *config)
{
    const char *text = json_string(config, "stop_grace_period");
    _cleanup_(freep) char *digits = text ? strndup(text, strspn(text, "0123456789")) : NULL;
    uint64_t seconds;

    return digits && str_to_u64(digits, 0, UINT32_MAX, &seconds) == 0 ? (unsigned) seconds : STOP_GRACE_DEFAULT_SECONDS;
}

static int load_service(const CurrentService *from, ComposeService *s)
{
    s->name = strdup(from->name ? from->name : "");
    s->replica_of = from->replica_of ? strdup(from->replica_of) : NULL;
    s->container_name = strdup(from->container ? from->container : "");
    s->image = strdup(from->image ? from->image : "");
    s->restart = strdup("no");
    s->environment = cJSON_Duplicate(from->environment, 1);
    s->config = cJSON_Duplicate(from->config, 1);
    s->stop_grace_seconds = grace_from_config(s->config);
    if (from->hash)
        snprintf(s->config_hash, sizeof(s->config_hash), "%s", from->hash);
    return s->name && (s->replica_of || !from->replica_of) && s->container_name && s->image && s->restart &&
                   s->environment && s->config
               ? strv_copy(from->host_ports, &s->host_ports)
               : -ENOMEM;
}

ComposeProject *current_to_project(const Current *c)
{
    _cleanup_(compose_project_freep) ComposeProject *p = NULL;

    if (!c || !(p = calloc(1, sizeof(*p))))
        return NULL;
    p->name = strdup(c->name ? c->name : "");
    p->networks = cJSON_Duplicate(c->networks, 1);
    p->volumes = cJSON_Duplicate(c->volumes, 1);
    p->services = calloc(c->n_services + 1, sizeof(*p->services));
    if (!p->name || !p->services)
        return NULL;
    for (size_t i = 0; i < c->n_services; i++)
        if (load_service(&c->services[i], &p->services[p->n_services++]) < 0)
            return NULL;
    return TAKE_PTR(p);
}

int current_inspect(Podman *podman, const CurrentService *s, cJSON **ret, Error *err)
{
    int r = s->id ? podman_inspect(podman, s->id, ret, err) : -ENOENT;

    if (r != -ENOENT || !s->container)
        return r;
    error_done(err);
    return podman_inspect(podman, s->container, ret, err);
}

/* Whether it is another process than before. */
static bool note_process(Podman *podman, CurrentService *s)
{
    _cleanup_(cJSON_Deletep) cJSON *info = NULL;

    if (!current_service_runs(s) || !s->id || podman_inspect(podman, s->id, &info, NULL) < 0)
        return false;
    const cJSON *state = cJSON_GetObjectItemCaseSensitive(info, "State"),
                *pid = cJSON_GetObjectItemCaseSensitive(state, "Pid");
    if (!str_equal(json_string(state, "Status"), "running") || !cJSON_IsNumber(pid) || pid->valueint <= 0)
        return false;
    uint64_t ticks = process_start_ticks(pid->valueint);
    if (ticks == 0 || (pid->valueint == s->pid && ticks == s->start_ticks))
        return false;
    s->pid = pid->valueint;
    s->start_ticks = ticks;
    return true;
}

void current_note_processes(Podman *podman)
{
    _cleanup_(current_freep) Current *c = NULL;
    _cleanup_(error_done) Error err = {};
    int r = current_load(&c, &err);
    bool changed = false;

    for (size_t i = 0; r == 0 && c && i < c->n_services; i++)
        changed = note_process(podman, &c->services[i]) || changed;
    if (changed)
        r = current_save(c, &err);
    if (r < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, &err, r, "Cannot note which processes run now");
}

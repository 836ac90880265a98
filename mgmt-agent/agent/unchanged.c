/* SPDX-License-Identifier: MIT */
/* "The same again", answered from our own files and the kernel's process table in a few milliseconds. Anything that is not
 * certain goes the long way, where podman is asked. */

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/limits.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "mgmt-agent/agent/agent.h"
#include "lib/base/proc.h"
#include "mgmt-agent/state/order-floors.h"
#include "mgmt-agent/state/snapshot-store.h"

/* A container never changes its image or settings while it lives: its first process, alive since we proved it, is proof. A
 * one-shot that had ended well only has to be there still. */
static bool service_is_unchanged(const CurrentService *s)
{
    struct stat st;

    if (!current_service_runs(s))
        return s->static_dir && stat(s->static_dir, &st) == 0;
    return s->pid > 0 && s->start_ticks > 0 && process_start_ticks(s->pid) == s->start_ticks;
}

static bool all_unchanged(const Current *current)
{
    for (size_t i = 0; i < current->n_services; i++)
        if (!service_is_unchanged(&current->services[i]))
            return false;
    return current->n_services > 0;
}

static bool has_good_form(const cJSON *message)
{
    const cJSON *signatures = cJSON_GetObjectItemCaseSensitive(message, "signatures");
    uint64_t seconds = CONFIRM_SECONDS_MAX;
    int r = json_u64(message, "confirmDeadlineSeconds", &seconds);

    return (r == 0 || r == -ENOENT) && seconds > 0 && seconds <= CONFIRM_SECONDS_MAX &&
           (!signatures || cJSON_IsArray(signatures));
}

/* What `verify` would check; whatever it would refuse goes the long way and is refused there. */
static bool would_be_accepted(const Agent *a, const cJSON *message, bool from_cloud, uint64_t *ret_version)
{
    const char *expires = json_string(message, "expiresAt");
    uint64_t floor;
    usec_t at;

    if (!has_good_form(message))
        return false;
    if (!from_cloud)
        return true;
    return str_equal(json_string(message, "deviceId"), a->device_id) && store_load_floor(&floor, NULL) == 0 &&
           str_to_u64(json_string(message, "version"), 1, UINT64_MAX, ret_version) == 0 &&
           store_check_step(*ret_version, floor, NULL) == 0 &&
           (!expires || (timestamp_parse(expires, &at) == 0 && realtime_usec() <= at));
}

static int add_kept_services(cJSON *m, const Current *current)
{
    cJSON *array = cJSON_CreateArray();

    if (json_add_item(m, "services", array) < 0)
        return -ENOMEM;
    for (size_t i = 0; i < current->n_services; i++) {
        const CurrentService *s = &current->services[i];
        cJSON *o = cJSON_CreateObject();

        if (!o || json_append(array, o) < 0 || json_add_string(o, "name", s->name) < 0 ||
            json_add_string(o, "container", s->container) < 0 || json_add_string(o, "id", s->id) < 0 ||
            json_add_string(o, "image", s->image) < 0 || json_add_string(o, "action", "keep") < 0)
            return -ENOMEM;
    }
    return 0;
}

static cJSON *make_result(const cJSON *message, bool from_cloud, const Current *current)
{
    _cleanup_(cJSON_Deletep) cJSON *m = message_new("compose.result");
    char at[TIMESTAMP_SIZE];

    if (!m || json_add_string(m, "id", json_string(message, "id")) < 0 ||
        json_add_string(m, "version", json_string(message, "version")) < 0 || json_add_int(m, "status", 200) < 0 ||
        json_add_string(m, "phase", "done") < 0 || json_add_string(m, "outcome", "done") < 0 ||
        json_add_bool(m, "noop", true) < 0 || json_add_string(m, "sha256", current->sha256) < 0 ||
        json_add_int(m, "seconds", 0) < 0 || json_add_string(m, "at", timestamp_format(realtime_usec(), at)) < 0 ||
        (from_cloud && order_floors_describe(m) < 0) || add_kept_services(m, current) < 0)
        return NULL;
    return TAKE_PTR(m);
}

/* The version moves on although nothing else does. */
static int remember(Current *current, const cJSON *message, bool from_cloud, uint64_t version, const cJSON *result,
                    Error *err)
{
    int r = store_save_snapshot(json_string(message, "version"), message, err);

    if (r == 0 && (json_set(&current->version, json_string(message, "version")) < 0 ||
                   json_set(&current->id, json_string(message, "id")) < 0))
        r = -ENOMEM;
    if (r == 0 && from_cloud)
        r = store_save_floor(version, err);
    if (r == 0)
        r = current_save(current, err);
    if (r == 0 && from_cloud)
        r = store_save_unacked(result, err);
    return r == 0 ? store_add_history(result, err) : r;
}

/* Files that the compose file names may have changed, and which they are only the worker finds out. */
static bool may_name_files(const char *compose)
{
    return compose && strstr(compose, "env_file");
}

int agent_check_unchanged(Agent *a, const cJSON *message, bool from_cloud, cJSON **ret)
{
    _cleanup_(current_freep) Current *current = NULL;
    _cleanup_(cJSON_Deletep) cJSON *result = NULL;
    _cleanup_(error_done) Error err = {};
    _cleanup_(freep) char *inputs = NULL;
    const char *bundle = NULL;
    uint64_t version = 0;

    if (a->journal.state != DEPLOY_IDLE || current_load(&current, &err) < 0 || !current ||
        !would_be_accepted(a, message, from_cloud, &version) || may_name_files(json_string(message, "compose")) ||
        bundle_of_snapshot(message, &bundle, &err) < 0 ||
        store_inputs_digest(json_string(message, "compose"), bundle, &inputs, &err) < 0 ||
        !str_equal(inputs, current->inputs) || !all_unchanged(current))
        return 0;
    result = make_result(message, from_cloud, current);
    if (!result || remember(current, message, from_cloud, version, result, &err) < 0)
        return 0;
    *ret = TAKE_PTR(result);
    return 1;
}

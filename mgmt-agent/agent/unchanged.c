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
#include "mgmt-agent/state/proc.h"
#include "mgmt-agent/state/snapshot-store.h"

/* A container never changes its image or settings while it lives: its first process, alive since we proved it, is proof. A
 * one-shot that had ended well only has to be there still. */
static bool service_is_unchanged(const cJSON *service)
{
    const cJSON *pid = cJSON_GetObjectItemCaseSensitive(service, "pid");
    const char *folder = json_string(service, "staticDir");
    uint64_t ticks = 0;
    struct stat st;

    if (!str_equal(json_string(service, "state"), "running"))
        return folder && stat(folder, &st) == 0;
    return cJSON_IsNumber(pid) && pid->valueint > 0 && json_u64(service, "startTicks", &ticks) == 0 && ticks > 0 &&
           process_start_ticks(pid->valueint) == ticks;
}

static bool all_unchanged(const cJSON *current)
{
    const cJSON *services = cJSON_GetObjectItemCaseSensitive(current, "services"), *service;

    if (cJSON_GetArraySize(services) == 0)
        return false;
    cJSON_ArrayForEach(service, services)
        if (!service_is_unchanged(service))
            return false;
    return true;
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

static int add_kept_services(cJSON *m, const cJSON *current)
{
    cJSON *array = cJSON_CreateArray();
    const cJSON *service;

    if (json_add_item(m, "services", array) < 0)
        return -ENOMEM;
    cJSON_ArrayForEach(service, cJSON_GetObjectItemCaseSensitive(current, "services")) {
        cJSON *o = cJSON_CreateObject();

        if (!o || json_append(array, o) < 0 || json_add_string(o, "name", json_string(service, "name")) < 0 ||
            json_add_string(o, "container", json_string(service, "container")) < 0 ||
            json_add_string(o, "id", json_string(service, "id")) < 0 ||
            json_add_string(o, "image", json_string(service, "image")) < 0 || json_add_string(o, "action", "keep") < 0)
            return -ENOMEM;
    }
    return 0;
}

static cJSON *make_result(const cJSON *message, const cJSON *current)
{
    _cleanup_(cJSON_Deletep) cJSON *m = message_new("compose.result");
    char at[TIMESTAMP_SIZE];

    if (!m || json_add_string(m, "id", json_string(message, "id")) < 0 ||
        json_add_string(m, "version", json_string(message, "version")) < 0 || json_add_int(m, "status", 200) < 0 ||
        json_add_string(m, "phase", "done") < 0 || json_add_string(m, "outcome", "done") < 0 ||
        json_add_bool(m, "noop", true) < 0 || json_add_string(m, "sha256", json_string(current, "sha256")) < 0 ||
        json_add_int(m, "seconds", 0) < 0 || json_add_string(m, "at", timestamp_format(realtime_usec(), at)) < 0 ||
        add_kept_services(m, current) < 0)
        return NULL;
    return TAKE_PTR(m);
}

/* The version moves on although nothing else does. */
static int remember(cJSON *current, const cJSON *message, bool from_cloud, uint64_t version, const cJSON *result,
                    Error *err)
{
    int r = store_save_snapshot(json_string(message, "version"), message, err);

    cJSON_DeleteItemFromObjectCaseSensitive(current, "version");
    cJSON_DeleteItemFromObjectCaseSensitive(current, "id");
    if (r == 0 && (json_add_string(current, "version", json_string(message, "version")) < 0 ||
                   json_add_string(current, "id", json_string(message, "id")) < 0))
        r = -ENOMEM;
    if (r == 0 && from_cloud)
        r = store_save_floor(version, err);
    if (r == 0)
        r = store_save_current(current, err);
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
    _cleanup_(cJSON_Deletep) cJSON *current = NULL;
    _cleanup_(cJSON_Deletep) cJSON *result = NULL;
    _cleanup_(error_done) Error err = {};
    _cleanup_(freep) char *inputs = NULL;
    uint64_t version = 0;

    if (a->journal.state != DEPLOY_IDLE || store_load_current(&current, &err) < 0 || !current ||
        !would_be_accepted(a, message, from_cloud, &version) || may_name_files(json_string(message, "compose")) ||
        store_inputs_digest(json_string(message, "compose"), &inputs, &err) < 0 ||
        !str_equal(inputs, json_string(current, "inputs")) || !all_unchanged(current))
        return 0;
    result = make_result(message, current);
    if (!result || remember(current, message, from_cloud, version, result, &err) < 0)
        return 0;
    *ret = TAKE_PTR(result);
    return 1;
}

/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/worker/phases/container-state.h"

#include <errno.h>

#include "lib/base/strv.h"

bool container_is_one_shot(const ComposeService *s)
{
    return str_equal(s->restart, "no") || str_starts(s->restart, "on-failure");
}

int container_state_check(const ComposeService *s, const cJSON *info, ContainerState *ret, Error *err)
{
    const cJSON *state = cJSON_GetObjectItemCaseSensitive(info, "State");
    const cJSON *restarts = cJSON_GetObjectItemCaseSensitive(info, "RestartCount");
    const cJSON *code = cJSON_GetObjectItemCaseSensitive(state, "ExitCode");
    const char *status = json_string(state, "Status");
    bool exited = str_equal(status, "exited") && cJSON_IsNumber(code);

    if (cJSON_IsNumber(restarts) && restarts->valueint > 0)
        return error_set(err, EIO, "prove.restarts", "it died and was restarted %d times", restarts->valueint);
    if (str_equal(status, "running")) {
        *ret = CONTAINER_RUNNING;
        return 0;
    }
    if (exited && code->valueint == 0 && container_is_one_shot(s)) {
        *ret = CONTAINER_COMPLETED;
        return 0;
    }
    if (exited)
        return error_set(err, EIO, "prove.died", "its container exited with status %d", code->valueint);
    return error_set(err, EIO, "prove.not-running", "its container is %s", status ? status : "in an unknown state");
}

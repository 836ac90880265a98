/* SPDX-License-Identifier: MIT */
/* ssh.revocations: certificates that the machine's sshds must not take any more. Kept for the helper of root that tells them. */
#include <errno.h>

#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/data/ssh-revocations.h"
#include "mgmt-agent/agent/agent.h"

void agent_handle_revocations(Agent *a, ControlClient *c _unused_, const cJSON *message)
{
    _cleanup_(freep) char *path = path_in_root(AGENT_REVOCATIONS_PATH);
    _cleanup_(error_done) Error err = {};
    int r = path ? ssh_revocations_take(path, message, &err) : -ENOMEM;

    if (r < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, &err, r, "Which ssh certificates are revoked is not taken");
    else if (r > 0)
        log_notice("Revoked ssh certificates: %d",
                   cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(message, "keyIds")));
    agent_tell_cloud(a);
}

int agent_add_revocations(cJSON *status)
{
    _cleanup_(freep) char *path = path_in_root(AGENT_REVOCATIONS_PATH);

    return path ? json_add_u64(status, "sshRevocations", ssh_revocations_version(path)) : -ENOMEM;
}

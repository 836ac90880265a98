/* SPDX-License-Identifier: MIT */
/* keys.vouch: the keys of secbox and recovery-agent, for which this box's management key answers to the cloud. mgmt-link signs. */
#include <errno.h>

#include "lib/base/paths.h"
#include "lib/data/json.h"
#include "lib/tunnel/voucher.h"
#include "mgmt-agent/agent/agent.h"

const char *const key_offer_paths[] = { SECBOX_KEY_OFFER_PATH, RECOVERY_KEY_OFFER_PATH, NULL };

static const char *const roles[] = { "device", "recovery" };

int agent_add_keys(cJSON *o)
{
    for (size_t i = 0; i < ELEMENTSOF(roles); i++) {
        _cleanup_(freep) char *path = path_in_root(key_offer_paths[i]);
        _cleanup_(freep) char *thumbprint = path ? key_offer_read(path) : NULL;

        if (!path || json_add_string(o, roles[i], thumbprint) < 0)
            return -ENOMEM;
    }
    return 0;
}

void agent_vouch(const Agent *a)
{
    _cleanup_(cJSON_Deletep) cJSON *m = control_link(a->control) ? message_new("keys.vouch") : NULL;

    if (m && a->device_id && json_add_string(m, "deviceId", a->device_id) == 0 && agent_add_keys(m) == 0)
        control_send(control_link(a->control), m);
}

/* SPDX-License-Identifier: MIT */
#include "gateway/devices/agent-orders.h"

#include <errno.h>

#include "lib/base/strv.h"

static const struct {
    const char *type;      /* as `accepts` names it */
    const char *id, *what; /* of the error: the agent is too old … */
    const char *instead;
} table[_ORDER_MAX] = {
    [ORDER_UPDATE] = { .type = "image.update" },
    [ORDER_HALTED] = { .type = "updates.halted" },
    [ORDER_ROLLBACK] = { "compose.rollback", "rollback.unsupported", "to go back by an order",
                         "update it, run `secboxctl rollback` on the box, or push the earlier compose file again" },
    [ORDER_DOCTOR] = { "doctor.ask", "doctor.unsupported", "for this question", "run `secboxctl doctor` on the box" },
    [ORDER_AGENT] = { "agent.update", "agent-update.unsupported", "to be updated from here, or not from a package",
                      "update it on the box, as it was installed" },
    [ORDER_SIGNED] = { "orders.signed", "order.unsupported", "to check a signature",
                       "update it first, or leave --key away" },
    [ORDER_TRUST] = { .type = "trust.root" },
    [ORDER_PROJECT] = { "project", "project.unsupported", "to keep a project beside its own",
                        "update it, or say --project secbox, which means its own" },
    [ORDER_RELEASE] = { "release.update", "release.unsupported",
                        "for releases from here, or runs its services in containers",
                        "push a compose file, or run `secboxctl release apply` on a box without containers" },
    [ORDER_BUNDLE] = { "bundle", "bundle.unsupported", "for files beside the compose file",
                       "update it, or put the files on the box and push the compose file alone" },
    [ORDER_SEALED] = { "secrets.sealed", "bundle.unsupported", "for secrets that come through the cloud",
                       "update it, or give them to the box in its secbox.env" },
};

static bool accepts(const cJSON *status, const char *type)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(status, "accepts"))
        if (cJSON_IsString(item) && str_equal(item->valuestring, type))
            return true;
    return false;
}

AgentOrders agent_orders_read(const cJSON *status)
{
    AgentOrders orders = { .spoke = true };

    for (size_t i = 0; i < _ORDER_MAX; i++)
        orders.takes[i] = accepts(status, table[i].type);
    return orders;
}

int agent_orders_check(const AgentOrders *orders, AgentOrder order, const char *device, Error *err)
{
    if (orders->takes[order])
        return 0;
    if (!orders->spoke)
        return error_set(err, ENOTCONN, "device.agent-silent",
                         "device %s is connected, but its mgmt-agent has not reported yet: wait some seconds and try "
                         "again; if it lasts, see: secbox-fleet doctor %s",
                         device, device);
    return error_set(err, EBADMSG, table[order].id, "the agent of device %s is too old %s: %s", device,
                     table[order].what, table[order].instead);
}

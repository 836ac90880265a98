/* SPDX-License-Identifier: MIT */
#include "gateway/devices/clone-alarm.h"

#include <string.h>

#include "gateway/auth/audit.h"
#include "lib/base/clock.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"

/* They push each other out every few seconds. */
#define AGAIN (60 * USEC_PER_MINUTE)

static cJSON *describe(const DeviceConn *s, const DeviceConn *older)
{
    _cleanup_(cJSON_Deletep) cJSON *detail = cJSON_CreateObject();
    _cleanup_(freep) char *message = str_format(
        "two machines have the key of %s and push each other out, one at %s and one at %s: stop the one that is not "
        "the box; after a copy of its disk, set it up anew under a name of its own",
        s->device, ws_conn_peer(older->ws), ws_conn_peer(s->ws));
    cJSON *peers = detail ? cJSON_AddArrayToObject(detail, "peers") : NULL;
    cJSON *boots = detail ? cJSON_AddArrayToObject(detail, "bootIds") : NULL;
    if (!message || !peers || !boots || json_append(peers, cJSON_CreateString(ws_conn_peer(older->ws))) < 0 ||
        json_append(peers, cJSON_CreateString(ws_conn_peer(s->ws))) < 0 ||
        json_append(boots, cJSON_CreateString(older->boot)) < 0 ||
        json_append(boots, cJSON_CreateString(s->boot)) < 0 || json_add_string(detail, "message", message) < 0)
        return NULL;
    return TAKE_PTR(detail);
}

/* A machine that starts anew never has an earlier boot's id again: one that is back was running all the time. */
void clone_alarm_compare(DeviceConn *s, const DeviceConn *older)
{
    bool same = str_equal(s->boot, older->boot);
    memcpy(s->boot_before, same ? older->boot_before : older->boot, sizeof(s->boot_before));
    s->cloned_told = older->cloned_told;
    if (same || !str_equal(s->boot, older->boot_before))
        return;
    usec_t now = boottime_usec();
    if (s->cloned_told > 0 && now - s->cloned_told < AGAIN)
        return;
    s->cloned_told = now;
    audit_write(s->conns->store, &(AuditEntry) { .actor = "gateway",
                                                 .action = "device.cloned",
                                                 .device = s->device,
                                                 .alarm = true,
                                                 .detail = describe(s, older) });
}

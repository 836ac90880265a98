/* SPDX-License-Identifier: MIT */
#include "recovery-agent/status.h"

#include <errno.h>
#include <string.h>

#include "lib/base/fileio.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/data/order.h"
#include "lib/data/ssh-revocations.h"
#include "lib/event/daemon.h"
#include "lib/tunnel/message.h"

#define HOST_KEY_MAX 512

static const char *open_word(const Recovery *r)
{
    const char *reason = access_reason(&r->access, boottime_usec());
    return reason ? reason : "closed";
}

static int add_reasons(const Recovery *r, cJSON *array)
{
    _cleanup_(freep) char *way = str_format("%s tunnel: %s", r->main_way.name ? r->main_way.name : "device",
                                            r->main_way.silent ? "connected, but no answer" : "not connected");
    int k = way ? 0 : -ENOMEM;
    if (k >= 0 && verdict_blames(&r->verdict, CHECK_HEARTBEAT))
        k = json_append(array, cJSON_CreateString("heartbeat: no progress"));
    if (k >= 0 && verdict_blames(&r->verdict, CHECK_TUNNEL))
        k = json_append(array, cJSON_CreateString(way));
    for (size_t i = 0; k >= 0 && i < listeners_count(r->listeners); i++) {
        _cleanup_(freep) char *text = str_format("%s: no answer", listeners_name(r->listeners, i));
        if (verdict_blames(&r->verdict, CHECK_LISTENERS + i))
            k = json_append(array, cJSON_CreateString(text ? text : "listener"));
    }
    if (k >= 0 && r->sshd_failures > 0)
        k = json_append(array, cJSON_CreateString("recovery sshd: no answer"));
    if (k >= 0 && r->disk_fault)
        k = json_append(array, cJSON_CreateString("disk: takes nothing"));
    return k;
}

static cJSON *make_budget(const Recovery *r)
{
    _cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
    const LadderTime now = recovery_time(r);
    for (LadderStep step = STEP_RESTART; step < _STEPS; step++)
        if (json_add_int(o, ladder_step_name(step), (int) budget_left(&r->state.budget, step, &now)) < 0)
            return NULL;
    return TAKE_PTR(o);
}

/* Absent until the sshd has one. */
static int add_host_key(cJSON *m)
{
    _cleanup_(freep) char *path = path_in_root(RECOVERY_HOST_KEY_PATH), *line = NULL;

    if (!path || file_read(path, HOST_KEY_MAX, &line, NULL, NULL) < 0)
        return 0;
    line[strcspn(line, "\n")] = '\0';
    return json_add_string(m, "hostKey", line);
}

static int add_revocations(cJSON *m)
{
    _cleanup_(freep) char *path = path_in_root(RECOVERY_REVOCATIONS_PATH);
    return path ? json_add_u64(m, "sshRevocations", ssh_revocations_version(path)) : -ENOMEM;
}

/* What the cloud may send, and that it has sent something of before, while that counts. */
static int add_grants(const Recovery *r, cJSON *m)
{
    static const char *const accepts[] = { ACCEPTS_ACCOUNT_GRANTS };
    bool open = str_equal(access_reason(&r->access, boottime_usec()), "break-glass");
    int k = json_add_item(m, "accepts", cJSON_CreateStringArray(accepts, ELEMENTSOF(accepts)));

    return k < 0 ? k : json_add_string(m, "unsignedAccount", open ? r->unsigned_account : NULL);
}

static cJSON *make_status(const Recovery *r)
{
    char since[TIMESTAMP_SIZE];
    _cleanup_(cJSON_Deletep) cJSON *m = message_new("recovery.status");
    cJSON *reasons = cJSON_CreateArray();
    LadderStep step = r->running != STEP_NONE ? r->running : r->ladder.last;
    if (!m || json_add_item(m, "reasons", reasons) < 0 || add_reasons(r, reasons) < 0 ||
        json_add_string(m, "state", verdict_state_name(r->verdict.state)) < 0 ||
        json_add_bool(m, "open", access_reason(&r->access, boottime_usec()) != NULL) < 0 ||
        json_add_string(m, "since", timestamp_format(r->changed_at, since)) < 0 ||
        json_add_string(m, "verdict", open_word(r)) < 0 || json_add_string(m, "step", ladder_step_name(step)) < 0 ||
        json_add_item(m, "budget", make_budget(r)) < 0 || json_add_string(m, "configFault", r->config_fault) < 0 ||
        add_host_key(m) < 0 || add_revocations(m) < 0 || add_grants(r, m) < 0)
        return NULL;
    return TAKE_PTR(m);
}

static void tell_here(const cJSON *status)
{
    _cleanup_(freep) char *reasons = json_print(cJSON_GetObjectItemCaseSensitive(status, "reasons"));
    _cleanup_(freep) char *text =
        str_format("main way %s, recovery %s (%s), step %s, %s", json_string(status, "state"),
                   json_bool(status, "open", false) ? "open" : "closed", json_string(status, "verdict"),
                   json_string(status, "step"), reasons ? reasons : "");
    if (!text)
        return;
    service_status(text);
    log_notice("%s", text);
}

void recovery_tell(Recovery *r)
{
    _cleanup_(cJSON_Deletep) cJSON *status = make_status(r);
    char *text = status ? json_print(status) : NULL;
    if (!text || str_equal(text, r->told)) {
        free(text);
        return;
    }
    free(r->told);
    r->told = text;
    tell_here(status);
    if (r->up_since > 0 && tunnel_send(r->tunnel, text, strlen(text)) < 0)
        log_warning("the cloud cannot be told: no room");
}

/* SPDX-License-Identifier: MIT */
/* approvals list, approve, refuse: what waits for a second person. */
#include <errno.h>
#include <string.h>

#include "gateway/fleet/show.h"
#include "lib/base/strv.h"
#include "lib/cli/report.h"

static int approval_row(Table *table, const cJSON *a)
{
    _cleanup_(freep) char *detail = report_json_line(cJSON_GetObjectItemCaseSensitive(a, "detail"));

    if (!detail)
        return -ENOMEM;
    return table_row(table, json_string(a, "id"), json_string(a, "state"), json_string(a, "person"),
                     json_string(a, "action"), json_string(a, "device"), json_string(a, "expiresAt"),
                     json_string(a, "decidedBy"), detail);
}

int verb_approvals(int argc _unused_, char **argv _unused_, void *userdata)
{
    static const char *const headers[] = { "APPROVAL", "STATE",      "ASKED BY", "ACTION", "DEVICE",
                                           "EXPIRES",  "DECIDED BY", "REQUEST",  NULL };
    static const FleetList list = { .headers = headers,
                                    .row = approval_row,
                                    .none = "nothing waits for a second person" };
    static const FleetView view = { .member = "approvals", .list = &list };

    return fleet_show(userdata, "GET", strdup("/v1/approvals"), NULL, &view);
}

static char *decided(const cJSON *part)
{
    _cleanup_(freep) char *id = report_member(part, "id"), *state = report_member(part, "state"),
                          *person = report_member(part, "person"), *action = report_member(part, "action");

    return id && state && person && action ? str_format("%s of %s (%s) is %s\n", id, person, action, state) : NULL;
}

static int decide(void *fleet, const char *id, const char *verb)
{
    static const FleetView view = { .member = "approval", .text = decided };
    _cleanup_(freep) char *encoded = api_encode(id);

    return fleet_show(fleet, "POST", encoded ? str_format("/v1/approvals/%s/%s", encoded, verb) : NULL, NULL, &view);
}

int verb_approvals_approve(int argc _unused_, char **argv, void *userdata)
{
    return decide(userdata, argv[0], "approve");
}

int verb_approvals_refuse(int argc _unused_, char **argv, void *userdata)
{
    return decide(userdata, argv[0], "refuse");
}

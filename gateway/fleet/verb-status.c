/* SPDX-License-Identifier: MIT */
/* plan, history, status, audit: questions to the gateway and through it to a box. */
#include <errno.h>

#include "gateway/fleet/show.h"
#include "lib/base/strv.h"
#include "lib/cli/report.h"

#define BOX_TIMEOUT (120 * USEC_PER_SEC)
#define LIMIT_DEFAULT 20
#define HISTORY_MAX 200
#define AUDIT_MAX 1000

int verb_plan(int argc, char **argv, void *userdata)
{
    static const FleetView view = { .member = "plan", .text = report_plan };
    Fleet *fleet = userdata;
    _cleanup_(gathered_done) Gathered gathered = {};
    _cleanup_(api_reply_done) ApiReply reply = {};
    _cleanup_(freep) char *path = fleet_device_path(argv[0], "/plan");
    _cleanup_(cJSON_Deletep) cJSON *request = cJSON_CreateObject();
    _cleanup_(error_done) Error err = {};
    char sha256[SHA256_HEX_SIZE];

    int r = fleet_read_compose(fleet, argc > 1 ? argv[1] : NULL, &gathered, &err);
    if (r >= 0)
        r = fleet_settle_project(fleet, argv[0], &gathered, &err);
    if (r >= 0)
        r = request ? json_add_string(request, "compose", gathered.text) : -ENOMEM;
    if (r >= 0)
        r = json_add_string(request, "project", fleet_project(fleet));
    if (r >= 0)
        r = fleet_send_files(fleet, &gathered, (FleetTarget) { .device = argv[0] }, request, sha256, &err);
    if (r >= 0)
        r = fleet_ask(fleet, "POST", path, request, BOX_TIMEOUT, &reply, &err);
    if (r < 0)
        return fleet_fail(fleet, &reply, &err, r);
    gathered_name_values(&gathered, cJSON_GetObjectItemCaseSensitive(reply.body, "plan"));
    return fleet_show_body(fleet, reply.body, &view);
}

int verb_status(int argc, char **argv, void *userdata)
{
    Fleet *fleet = userdata;
    const char *project = fleet_project(fleet);
    _cleanup_(freep) char *name = api_encode(project ? project : ""), *suffix = NULL, *path = NULL;
    _cleanup_(api_reply_done) ApiReply reply = {};
    _cleanup_(error_done) Error err = {};

    (void) argc;
    suffix = name ? str_format("/status%s%s", project ? "?project=" : "", name) : NULL;
    path = suffix ? fleet_device_path(argv[0], suffix) : NULL;
    int r = fleet_ask(fleet, "GET", path, NULL, BOX_TIMEOUT, &reply, &err);
    if (r < 0)
        return fleet_fail(fleet, &reply, &err, r);

    /* the answer is the box's status.report; its members besides `status` are of the tunnel, not of interest */
    const cJSON *status = cJSON_GetObjectItemCaseSensitive(reply.body, "status");
    if (!cJSON_IsObject(status))
        status = reply.body;
    return fleet->json ? report_json(status, EXIT_OK) : report_text(report_status(status), EXIT_OK);
}

static int limit_of(const Fleet *fleet, unsigned max, unsigned *ret, Error *err)
{
    uint64_t limit;
    int r = fleet_number(fleet->limit, "limit", 1, max, LIMIT_DEFAULT, &limit, err);
    if (r >= 0)
        *ret = (unsigned) limit;
    return r;
}

int verb_history(int argc _unused_, char **argv, void *userdata)
{
    static const FleetView view = { .member = "deployments", .text = report_history };
    const Fleet *fleet = userdata;
    const char *project = fleet_project(fleet);
    _cleanup_(freep) char *base = fleet_device_path(argv[0], "/deployments"),
                          *name = api_encode(project ? project : "");
    _cleanup_(error_done) Error err = {};
    unsigned limit = 0;

    int r = limit_of(userdata, HISTORY_MAX, &limit, &err);
    return r < 0
               ? fleet_fail(userdata, NULL, &err, r)
               : fleet_show(userdata, "GET",
                            base && name ? str_format("%s?limit=%u%s%s", base, limit, project ? "&project=" : "", name)
                                         : NULL,
                            NULL, &view);
}

/* "device=caseta5, reason=new camera" from an entry's `detail` object: a new string, NULL when out of memory. */
static char *detail_text(const cJSON *entry)
{
    const cJSON *detail = cJSON_GetObjectItemCaseSensitive(entry, "detail"), *item;
    _cleanup_(strv_freep) char **parts = NULL;

    if (!cJSON_IsObject(detail))
        return str_format("%s", "");
    cJSON_ArrayForEach(item, detail) {
        _cleanup_(freep) char *text = cJSON_IsString(item) ? str_format("%s", item->valuestring) : json_print(item);
        if (!text || strv_addf(&parts, "%s=%s", item->string, text) < 0)
            return NULL;
    }
    return parts ? strv_join(parts, ", ") : str_format("%s", "");
}

static int audit_row(Table *table, const cJSON *entry)
{
    _cleanup_(freep) char *detail = detail_text(entry);

    if (!detail)
        return -ENOMEM;
    return table_row(table, json_string(entry, "at"), json_string(entry, "actor"), json_string(entry, "action"),
                     json_string(entry, "device"), json_bool(entry, "alarm", false) ? "ALARM" : NULL, detail);
}

int verb_audit(int argc _unused_, char **argv _unused_, void *userdata)
{
    static const char *const headers[] = { "AT", "WHO", "ACTION", "DEVICE", "ALARM", "DETAIL", NULL };
    static const FleetList list = { .headers = headers, .row = audit_row, .none = "nothing was done yet" };
    static const FleetView view = { .member = "entries", .list = &list };
    _cleanup_(error_done) Error err = {};
    unsigned limit = 0;

    int r = limit_of(userdata, AUDIT_MAX, &limit, &err);
    return r < 0 ? fleet_fail(userdata, NULL, &err, r)
                 : fleet_show(userdata, "GET", str_format("/v1/audit?limit=%u", limit), NULL, &view);
}

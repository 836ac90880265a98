/* SPDX-License-Identifier: MIT */
/* enrolment create, list, revoke; devices pending, approve, deny: boxes that come by a token for many. */
#include <errno.h>
#include <string.h>

#include "gateway/fleet/show.h"
#include "lib/base/strv.h"
#include "lib/cli/report.h"

#define BOXES_MAX 10000
#define HOURS_MAX 8784
#define SECONDS_PER_HOUR 3600

static int make_request(const Fleet *fleet, cJSON *request, Error *err)
{
    cJSON *labels = cJSON_AddObjectToObject(request, "labels");
    int seconds = 24 * SECONDS_PER_HOUR, r = labels ? 0 : -ENOMEM;
    uint64_t boxes = 1;

    if (r >= 0)
        r = fleet_labels(fleet->label, labels, err);
    if (r >= 0)
        r = fleet_number(fleet->boxes, "boxes", 1, BOXES_MAX, 1, &boxes, err);
    if (r >= 0)
        r = fleet_duration(fleet->for_time, "for", HOURS_MAX * SECONDS_PER_HOUR, &seconds, err);
    if (r >= 0 && (seconds < SECONDS_PER_HOUR || seconds % SECONDS_PER_HOUR != 0))
        r = error_set(err, EINVAL, "usage", "--for of an enrolment token takes whole hours, from 1h to %dh", HOURS_MAX);
    if (r >= 0 &&
        (json_add_u64(request, "boxes", boxes) < 0 || json_add_int(request, "hours", seconds / SECONDS_PER_HOUR) < 0 ||
         json_add_string(request, "note", fleet->reason) < 0 ||
         json_add_bool(request, "autoApprove", fleet->auto_approve) < 0))
        r = -ENOMEM;
    return r;
}

int verb_enrolment_create(int argc _unused_, char **argv _unused_, void *userdata)
{
    Fleet *fleet = userdata;
    _cleanup_(cJSON_Deletep) cJSON *request = cJSON_CreateObject();
    _cleanup_(api_reply_done) ApiReply reply = {};
    _cleanup_(error_done) Error err = {};

    int r = request ? make_request(fleet, request, &err) : -ENOMEM;
    if (r >= 0)
        r = fleet_ask(fleet, "POST", "/v1/enrolments", request, CALL_TIMEOUT, &reply, &err);
    if (r < 0)
        return fleet_fail(fleet, &reply, &err, r);
    return fleet->json && !fleet->qr && !fleet->qr_png ? report_json(reply.body, EXIT_OK)
                                                       : fleet_show_enrolment(fleet, reply.body);
}

static int enrolment_row(Table *table, const cJSON *e)
{
    _cleanup_(freep) char *labels = fleet_labels_text(e), *boxes = report_member(e, "boxes"),
                          *used = report_member(e, "used"), *waiting = report_member(e, "waiting");

    return table_row(table, json_string(e, "id"), json_string(e, "state"), used, boxes, waiting,
                     json_bool(e, "autoApprove", false) ? "nobody" : "operators", json_string(e, "expiresAt"),
                     json_string(e, "createdBy"), json_string(e, "note"), labels);
}

int verb_enrolment_list(int argc _unused_, char **argv _unused_, void *userdata)
{
    static const char *const headers[] = { "ENROLMENT", "STATE",      "CAME",   "OF",     "WAIT", "APPROVED BY",
                                           "EXPIRES",   "CREATED BY", "REASON", "LABELS", NULL };
    static const FleetList list = { .headers = headers, .row = enrolment_row, .none = "no enrolment tokens yet" };
    static const FleetView view = { .member = "enrolments", .list = &list };

    return fleet_show(userdata, "GET", strdup("/v1/enrolments"), NULL, &view);
}

static char *revoked(const cJSON *part)
{
    _cleanup_(freep) char *id = report_member(part, "id");
    return id ? str_format("nobody comes by enrolment %s any more\n", id) : NULL;
}

/* "PREFIX/ID/VERB" */
static char *path_of(const char *prefix, const char *id, const char *verb)
{
    _cleanup_(freep) char *encoded = api_encode(id);
    return encoded ? str_format("%s/%s/%s", prefix, encoded, verb) : NULL;
}

int verb_enrolment_revoke(int argc _unused_, char **argv, void *userdata)
{
    static const FleetView view = { .member = "enrolment", .text = revoked };

    return fleet_show(userdata, "POST", path_of("/v1/enrolments", argv[0], "revoke"), NULL, &view);
}

static char *addresses_text(const cJSON *machine)
{
    _cleanup_(strv_freep) char **list = NULL;
    const cJSON *i;

    cJSON_ArrayForEach(i, cJSON_GetObjectItemCaseSensitive(machine, "addresses"))
        if (cJSON_IsString(i) && strv_add(&list, i->valuestring) < 0)
            return NULL;
    return strv_join(list, " ");
}

static int pending_row(Table *table, const cJSON *e)
{
    const cJSON *machine = cJSON_GetObjectItemCaseSensitive(e, "machine");
    _cleanup_(freep) char *labels = fleet_labels_text(e), *addresses = addresses_text(machine);

    return table_row(table, json_string(e, "device"), json_string(machine, "hostname"),
                     json_string(machine, "architecture"), addresses, json_string(machine, "machineId"),
                     json_string(e, "thumbprint"), json_string(e, "peer"), json_string(e, "askedAt"),
                     json_string(e, "enrolment"), labels);
}

int verb_devices_pending(int argc _unused_, char **argv _unused_, void *userdata)
{
    static const char *const headers[] = { "ID",   "HOST NAME", "PROCESSOR", "ADDRESSES", "MACHINE", "KEY FINGERPRINT",
                                           "FROM", "ASKED",     "ENROLMENT", "LABELS",    NULL };
    static const FleetList list = { .headers = headers, .row = pending_row, .none = "no box waits to be let in" };
    static const FleetView view = { .member = "pending", .list = &list };

    return fleet_show(userdata, "GET", strdup("/v1/pending-devices"), NULL, &view);
}

static char *approved(const cJSON *part)
{
    _cleanup_(freep) char *id = report_member(part, "id");
    return id ? str_format("%s is let in: it comes as soon as it asks again\n", id) : NULL;
}

int verb_devices_approve(int argc _unused_, char **argv, void *userdata)
{
    static const FleetView view = { .member = "device", .text = approved };

    return fleet_show(userdata, "POST", path_of("/v1/pending-devices", argv[0], "approve"), NULL, &view);
}

static char *denied(const cJSON *part)
{
    _cleanup_(freep) char *id = report_member(part, "denied");
    return id ? str_format("%s is refused\n", id) : NULL;
}

int verb_devices_deny(int argc _unused_, char **argv, void *userdata)
{
    static const FleetView view = { .text = denied };

    return fleet_show(userdata, "POST", path_of("/v1/pending-devices", argv[0], "deny"), NULL, &view);
}

/* SPDX-License-Identifier: MIT */
/* doctor: what the gateway knows of a box, and what secboxctl doctor says on it. */
#include <errno.h>
#include <stdio.h>

#include "gateway/fleet/device-findings.h"
#include "gateway/fleet/fleet.h"
#include "lib/base/strv.h"
#include "lib/cli/finding.h"
#include "lib/cli/report.h"

#define BOX_TIMEOUT (150 * USEC_PER_SEC)

/* What both have said; `box` is NULL when the box could not be asked, and `why` says why. */
typedef struct Diagnosis {
    const char *id;
    cJSON *gateway, *box;
    Error why;
    int r;
} Diagnosis;

static void diagnosis_done(Diagnosis *d)
{
    cJSON_Delete(d->gateway);
    cJSON_Delete(d->box);
    error_done(&d->why);
}

/* Whoever has the box says what its document says: a command in it is for the box's shell, or it is not passed on. */
static int take_away_what_is_not_for_the_box(cJSON *report)
{
    cJSON *check;

    cJSON_ArrayForEach(check, cJSON_GetObjectItemCaseSensitive(report, "checks")) {
        const cJSON *place = cJSON_GetObjectItemCaseSensitive(check, "remedyFor");
        if (!place || (cJSON_IsString(place) && str_equal(place->valuestring, "box")))
            continue;
        cJSON_DeleteItemFromObjectCaseSensitive(check, "advice");
        cJSON_DeleteItemFromObjectCaseSensitive(check, "remedy");
        cJSON_DeleteItemFromObjectCaseSensitive(check, "remedyFor");
        if (json_add_string(check, "advice", "`secboxctl doctor` on the box says what to do.") < 0)
            return -ENOMEM;
    }
    return 0;
}

/* The box's answer, {"report", "exitCode", …}. What fails here is part of the diagnosis, but for what ends everything. */
static int ask_box(Fleet *fleet, Diagnosis *d, ApiReply *reply, Error *err)
{
    _cleanup_(freep) char *path = fleet_device_path(d->id, "/doctor");

    d->r = fleet_ask(fleet, "POST", path, NULL, BOX_TIMEOUT, reply, &d->why);
    if (d->r >= 0) {
        d->box = cJSON_DetachItemFromObjectCaseSensitive(reply->body, "report");
        return cJSON_IsArray(cJSON_GetObjectItemCaseSensitive(d->box, "checks"))
                   ? take_away_what_is_not_for_the_box(d->box)
                   : error_set(err, EREMOTEIO, "fleet.bad-answer", "the gateway's answer has no report of the box");
    }
    if (str_equal(error_id(&d->why), "request.not-found")) {
        error_done(&d->why);
        d->r = error_set(&d->why, EBADMSG, "doctor.unsupported",
                         "the gateway is older than this program: run `secboxctl doctor` on the box");
    }
    return 0;
}

static int diagnose(Fleet *fleet, Diagnosis *d, ApiReply *first, Error *err)
{
    _cleanup_(freep) char *path = fleet_device_path(d->id, "");
    _cleanup_(api_reply_done) ApiReply second = {};
    int r = fleet_ask(fleet, "GET", path, NULL, CALL_TIMEOUT, first, err);

    if (r >= 0)
        r = ask_box(fleet, d, &second, err);
    if (r < 0)
        return r;
    d->gateway =
        device_findings(d->id, cJSON_GetObjectItemCaseSensitive(first->body, "device"), d->box ? second.body : NULL);
    return d->gateway && findings_count(d->gateway) >= 0 ? 0 : -ENOMEM;
}

/* As secboxctl doctor; a box that could not be asked outweighs what else there is. */
static int exit_code_of(const Diagnosis *d)
{
    int box = d->box ? findings_exit_code(d->box) : EXIT_UNREACHABLE, gateway = findings_exit_code(d->gateway);

    if (!d->box || (box != EXIT_FAILED && gateway != EXIT_FAILED))
        return box != EXIT_OK ? box : gateway;
    return EXIT_FAILED;
}

static cJSON *to_json(Diagnosis *d)
{
    _cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();

    if (!o || json_add_string(o, "device", d->id) < 0 || json_add_item(o, "gateway", TAKE_PTR(d->gateway)) < 0)
        return NULL;
    if (d->box ? json_add_item(o, "box", TAKE_PTR(d->box)) < 0
               : json_add_item(o, "error", json_from_error(&d->why, d->r)) < 0)
        return NULL;
    return TAKE_PTR(o);
}

static char *to_text(const Diagnosis *d)
{
    _cleanup_(freep) char *gateway = findings_text(d->gateway, "AT THE GATEWAY"),
                          *box = d->box ? findings_text(d->box, "ON THE BOX") : NULL;
    _cleanup_(cJSON_Deletep) cJSON *error = d->box ? NULL : json_from_error(&d->why, d->r);
    _cleanup_(freep) char *why = error ? report_error(error) : NULL;

    if (!gateway || (!box && !why))
        return NULL;
    return box ? str_format("%s\nThe box says the following; a command in it is for root's shell on the box, not for "
                            "here.\n%s",
                            gateway, box)
               : str_format("%s\nThe box's own doctor was not asked: %s\n", gateway, why);
}

int verb_doctor(int argc, char **argv, void *userdata)
{
    Fleet *fleet = userdata;
    _cleanup_(diagnosis_done) Diagnosis d = { .id = argv[0] };
    _cleanup_(api_reply_done) ApiReply reply = {};
    _cleanup_(error_done) Error err = {};

    (void) argc;
    int r = diagnose(fleet, &d, &reply, &err);
    if (r < 0)
        return fleet_fail(fleet, &reply, &err, r);
    int exit_code = exit_code_of(&d);
    if (!fleet->json)
        return report_text(to_text(&d), exit_code);
    _cleanup_(cJSON_Deletep) cJSON *document = to_json(&d);
    return document ? report_json(document, exit_code) : fleet_fail(fleet, NULL, NULL, -ENOMEM);
}

/* SPDX-License-Identifier: MIT */
/* camera: which cameras a box has, a picture of one, or where a browser finds its pictures. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gateway/fleet/show.h"
#include "lib/base/fileio.h"
#include "lib/base/strv.h"
#include "lib/base/text.h"
#include "lib/cli/report.h"
#include "lib/cli/table.h"

/* An answer in which there is no Frigate has an error instead. */
static char *list_text(const cJSON *body)
{
    static const char *const headers[] = { "CAMERA", "STATE", NULL };
    const cJSON *camera, *cameras = cJSON_GetObjectItemCaseSensitive(body, "cameras");
    const char *state = json_string(body, "frigate"), *why = json_string(body, "why");
    _cleanup_(table_freep) Table *t = table_new(headers);
    _cleanup_(freep) char *table = NULL, *trouble = text_printable(why ? why : state ? state : "");

    cJSON_ArrayForEach(camera, cameras)
        if (!t || table_row(t, json_string(camera, "name"), json_string(camera, "state"), NULL) < 0)
            return NULL;
    table = t && table_rows(t) > 0 ? table_print(t, 0) : strdup("");
    if (!table || !trouble)
        return NULL;
    if (str_equal(state, "up"))
        return table[0] ? TAKE_PTR(table) : strdup("Frigate has no cameras\n");
    return str_format("%sno pictures now: %s\n", table, trouble);
}

static int list(Fleet *fleet, const char *device)
{
    static const FleetView view = { .text = list_text };

    return fleet_show(fleet, "GET", fleet_device_path(device, "/cameras"), NULL, &view);
}

static int write_picture(const char *data, size_t len, Error *err)
{
    if (fwrite(data, 1, len, stdout) != len || fflush(stdout) != 0)
        return error_from_errno(err, -errno, "cannot write the picture to standard output");
    return 0;
}

static int picture(Fleet *fleet, const char *device, const char *camera)
{
    _cleanup_(freep) char *name = api_encode(camera), *suffix = name ? str_format("/cameras/%s/frame.jpg", name) : NULL,
                          *path = suffix ? fleet_device_path(device, suffix) : NULL, *data = NULL;
    _cleanup_(api_reply_done) ApiReply reply = {};
    _cleanup_(error_done) Error err = {};
    size_t len = 0;
    int r = path ? 0 : -ENOMEM;

    if (r >= 0 && isatty(STDOUT_FILENO))
        r = error_set(&err, EINVAL, "usage", "a picture is nothing for a terminal: > FILE.jpg");
    if (r >= 0 && fleet->json)
        r = error_set(&err, EINVAL, "usage", "a picture is no JSON: leave --json out, or the camera");
    if (r >= 0)
        r = fleet_begin(fleet, &err);
    if (r >= 0)
        r = api_fetch(&fleet->api, path, CALL_TIMEOUT, &reply, &data, &len, &err);
    if (r >= 0)
        r = write_picture(data, len, &err);
    return r < 0 ? fleet_fail(fleet, &reply, &err, r) : EXIT_OK;
}

/* On standard output alone: whoever has it looks at the camera. */
static int show_url(const Fleet *fleet, const cJSON *body, Error *err)
{
    const char *path = json_string(cJSON_GetObjectItemCaseSensitive(body, "ticket"), "stream");
    _cleanup_(secret_freep) char *url = path ? str_format("%s%s\n", fleet->api.gateway, path) : NULL;

    if (fleet->json)
        return report_json(body, EXIT_OK);
    if (!path)
        return error_set(err, EBADMSG, "api.bad-answer", "the gateway's answer holds no ticket");
    return url ? report_text(TAKE_PTR(url), EXIT_OK) : -ENOMEM;
}

static int ticket(Fleet *fleet, const char *device, const char *camera)
{
    _cleanup_(freep) char *name = api_encode(camera), *suffix = name ? str_format("/cameras/%s/tickets", name) : NULL,
                          *path = suffix ? fleet_device_path(device, suffix) : NULL;
    _cleanup_(api_reply_done) ApiReply reply = {};
    _cleanup_(error_done) Error err = {};
    int r = fleet_ask(fleet, "POST", path, NULL, CALL_TIMEOUT, &reply, &err);

    if (r >= 0)
        r = show_url(fleet, reply.body, &err);
    return r < 0 ? fleet_fail(fleet, &reply, &err, r) : r;
}

static int usage(const Fleet *fleet)
{
    _cleanup_(error_done) Error err = {};

    return fleet_fail(fleet, NULL, &err, error_set(&err, EINVAL, "usage", "--url is of a camera: name it"));
}

int verb_camera(int argc, char **argv, void *userdata)
{
    Fleet *fleet = userdata;

    if (fleet->url)
        return argc > 1 ? ticket(fleet, argv[0], argv[1]) : usage(fleet);
    return argc > 1 ? picture(fleet, argv[0], argv[1]) : list(fleet, argv[0]);
}

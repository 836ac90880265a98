/* SPDX-License-Identifier: MIT */
/* The ticket is in the answer alone, and in no log line. Who looks with it is in the audit log as the operator who asked for it. */
#include "gateway/cameras/api-camera-tickets.h"

#include <errno.h>

#include "lib/base/strv.h"
#include "lib/data/camera-name.h"
#include "lib/data/json.h"

#define STREAM "stream.mjpeg"

static int add_path(cJSON *o, const char *name, const Request *c, const char *file, const char *ticket)
{
    _cleanup_(secret_freep) char *path =
        str_format("/v1/devices/%s/cameras/%s/%s?ticket=%s", c->args[0], c->args[1], file, ticket);

    return path ? json_add_string(o, name, path) : -ENOMEM;
}

static void answer(Request *c, const char *ticket)
{
    _cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject(), *body = cJSON_CreateObject();
    char time[TIMESTAMP_SIZE];

    timestamp_format(realtime_usec() + CAMERA_TICKET_SECONDS * USEC_PER_SEC, time);
    if (!o || !body || json_add_string(o, "device", c->args[0]) < 0 || json_add_string(o, "camera", c->args[1]) < 0 ||
        json_add_string(o, "expiresAt", time) < 0 || add_path(o, "stream", c, STREAM, ticket) < 0 ||
        add_path(o, "frame", c, "frame.jpg", ticket) < 0 || json_add_item(body, "ticket", TAKE_PTR(o)) < 0)
        request_fail(c, -ENOMEM, NULL);
    else
        request_answer(c, 201, TAKE_PTR(body));
}

static void issue(Request *c)
{
    const CameraTicketsApi *api = c->module;
    _cleanup_(secret_freep) char *ticket = NULL;
    _cleanup_(error_done) Error err = {};
    int r = 0;

    if (!device_registry_has_device(api->registry, c->args[0]))
        r = error_set(&err, ENOENT, "device.not-found", "there is no device \"%s\" here", c->args[0]);
    else if (!camera_name_is_valid(c->args[1]))
        r = error_set(&err, ENOENT, "camera.unknown", "there is no such camera");
    else
        r = camera_tickets_issue(api->tickets, c->args[0], c->args[1], c->token_hash, boottime_usec(), &ticket, &err);
    if (r < 0)
        request_fail(c, r, &err);
    else
        answer(c, ticket);
}

int camera_ticket_take(const Request *c, const char *ticket, void *api, char ret[static SECRET_HASH_SIZE], Error *err)
{
    const CameraTicketsApi *a = api;
    bool once = str_ends(c->route->path, STREAM);

    return camera_tickets_take(a->tickets, ticket, c->args[0], c->args[1], once, boottime_usec(), ret, err);
}

const Route camera_ticket_routes[] = {
    { "POST", "/v1/devices/*/cameras/*/tickets", ACCESS_OPERATOR, issue,
      "an address with which a browser shows a camera" },
    {},
};

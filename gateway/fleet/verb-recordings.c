/* SPDX-License-Identifier: MIT */
/* recordings: who may see what a camera has recorded, or the recording itself. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gateway/fleet/show.h"
#include "lib/base/strv.h"
#include "lib/cli/report.h"

/* Of a day of video, over a line as slow as they are. */
#define DOWNLOAD_TIMEOUT (6 * USEC_PER_HOUR)

/* What somebody wants to see. */
typedef struct Wanted {
    const char *event; /* NULL: what was recorded in a window */
    usec_t from, until;
} Wanted;

static int read_time(const char *text, const char *option, usec_t *ret, Error *err)
{
    if (rfc3339_parse(text, ret) < 0)
        return error_set(err, EINVAL, "usage", "--%s TIME is needed, like 2026-01-02T03:04:05Z", option);
    return 0;
}

static int read_wanted(const Fleet *fleet, Wanted *ret, Error *err)
{
    ret->event = fleet->event;
    if (fleet->event)
        return fleet->from || fleet->to
                   ? error_set(err, EINVAL, "usage", "--event stands alone: it has its own beginning and end")
                   : 0;
    int r = read_time(fleet->from, "from", &ret->from, err);

    if (r >= 0)
        r = read_time(fleet->to, "to", &ret->until, err);
    if (r >= 0 && (ret->until / USEC_PER_SEC <= ret->from / USEC_PER_SEC || ret->until - ret->from > USEC_PER_DAY))
        return error_set(err, EINVAL, "usage", "--to is after --from, and a day later at most");
    return r;
}

static char *allowed_text(const cJSON *body)
{
    static const char *const members[] = { "path", "clip", "preview", "expiresAt" };
    const cJSON *o = cJSON_GetObjectItemCaseSensitive(body, "recording");
    const char *id = json_string(o, "id") ? json_string(o, "id") : "";

    if (json_string(o, "event") && json_string(o, "clip") && json_string(o, "expiresAt"))
        return str_format("file    https://THE-BOX%s\ngood until %s\ntoken   %s\n", json_string(o, "clip"),
                          json_string(o, "expiresAt"), id);

    for (size_t i = 0; i < ELEMENTSOF(members); i++)
        if (!json_string(o, members[i]))
            return strdup("the gateway's answer holds no recording\n");
    const char *strip = json_string(o, "strip"); /* an older gateway names none */
    return str_format(
        "player  https://THE-BOX%s\nfile    https://THE-BOX%s\npreview https://THE-BOX%s\n%s%s%sgood until %s\n"
        "token   %s\n",
        json_string(o, "path"), json_string(o, "clip"), json_string(o, "preview"),
        strip ? "strip   https://THE-BOX" : "", strip ? strip : "", strip ? "\n" : "", json_string(o, "expiresAt"), id);
}

static int allow(Fleet *fleet, const char *device, const char *camera, const Wanted *w)
{
    static const FleetView view = { .text = allowed_text };
    _cleanup_(cJSON_Deletep) cJSON *body = cJSON_CreateObject();
    char from[TIMESTAMP_SIZE], until[TIMESTAMP_SIZE];

    if (!body || json_add_string(body, "camera", camera) < 0 || json_add_string(body, "event", w->event) < 0 ||
        (!w->event && (json_add_string(body, "from", timestamp_format(w->from, from)) < 0 ||
                       json_add_string(body, "until", timestamp_format(w->until, until)) < 0)))
        return fleet_fail(fleet, NULL, NULL, -ENOMEM);
    return fleet_show(fleet, "POST", fleet_device_path(device, "/recordings"), body, &view);
}

static char *clip_path(const char *device, const char *camera, const Wanted *w)
{
    _cleanup_(freep) char *name = api_encode(camera), *event = w->event ? api_encode(w->event) : NULL;
    _cleanup_(freep) char *suffix = NULL;

    if (name && event)
        suffix = str_format("/recordings/%s/events/%s.mp4", name, event);
    else if (name && !w->event)
        suffix = str_format("/recordings/%s/%llu-%llu/clip.mp4", name, (unsigned long long) (w->from / USEC_PER_SEC),
                            (unsigned long long) (w->until / USEC_PER_SEC));

    return suffix ? fleet_device_path(device, suffix) : NULL;
}

static int download(Fleet *fleet, const char *device, const char *camera, const Wanted *w)
{
    _cleanup_(freep) char *path = clip_path(device, camera, w);
    _cleanup_(api_reply_done) ApiReply reply = {};
    _cleanup_(error_done) Error err = {};
    int r = path ? 0 : -ENOMEM;

    if (r >= 0 && isatty(STDOUT_FILENO))
        r = error_set(&err, EINVAL, "usage", "a recording is nothing for a terminal: > FILE.mp4");
    if (r >= 0 && fleet->json)
        r = error_set(&err, EINVAL, "usage", "a recording is no JSON: leave --json out, or --download");
    if (r >= 0)
        r = fleet_begin(fleet, &err);
    if (r >= 0)
        r = api_download(&fleet->api, path, DOWNLOAD_TIMEOUT, stdout, &reply, &err);
    if (r >= 0 && fflush(stdout) != 0)
        r = error_from_errno(&err, -errno, "cannot write the recording to standard output");
    return r < 0 ? fleet_fail(fleet, &reply, &err, r) : EXIT_OK;
}

int verb_recordings(int argc _unused_, char **argv, void *userdata)
{
    Fleet *fleet = userdata;
    _cleanup_(error_done) Error err = {};
    Wanted w = {};
    int r = read_wanted(fleet, &w, &err);

    if (r < 0)
        return fleet_fail(fleet, NULL, &err, r);
    return fleet->download ? download(fleet, argv[0], argv[1], &w) : allow(fleet, argv[0], argv[1], &w);
}

static char *revoked_text(const cJSON *body)
{
    const cJSON *n = cJSON_GetObjectItemCaseSensitive(body, "revoked");

    return cJSON_IsNumber(n) ? str_format("%.0f taken back\n", n->valuedouble)
                             : strdup("the gateway's answer says nothing\n");
}

int verb_recordings_revoke(int argc, char **argv, void *userdata)
{
    static const FleetView view = { .text = revoked_text };
    _cleanup_(cJSON_Deletep) cJSON *body = cJSON_CreateObject();

    if (!body || json_add_string(body, "id", argc > 1 ? argv[1] : NULL) < 0)
        return fleet_fail(userdata, NULL, NULL, -ENOMEM);
    return fleet_show(userdata, "POST", fleet_device_path(argv[0], "/recordings/revoke"), body, &view);
}

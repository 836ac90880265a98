/* SPDX-License-Identifier: MIT */
/* community face: the picture of the face of a user or a ban, by which cameras recognise them. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "gateway/fleet/show.h"
#include "lib/base/fileio.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/cli/report.h"

static char *face_path(char **argv)
{
    _cleanup_(freep) char *community = api_encode(argv[0]), *table = api_encode(argv[1]), *id = api_encode(argv[2]);

    return community && table && id ? str_format("/v1/communities/%s/%s/%s/face", community, table, id) : NULL;
}

static char *told(const cJSON *body)
{
    const char *id = json_string(body, "id"), *face = json_string(body, "face");

    return id ? str_format(face ? "%s has a face\n" : "%s has no face any more\n", id)
              : strdup("the gateway's answer says nothing\n");
}

static int set(Fleet *fleet, char **argv, Error *err)
{
    _cleanup_(freep) char *path = face_path(argv), *jpeg = NULL;
    _cleanup_(api_reply_done) ApiReply reply = {};
    size_t len = 0;
    int r = path ? file_read_followed(argv[3], FACE_BYTES_MAX, &jpeg, &len, err) : -ENOMEM;

    if (r >= 0)
        r = fleet_begin(fleet, err);
    if (r >= 0)
        r = api_send(&fleet->api, "PUT", path, "image/jpeg", jpeg, len, CALL_TIMEOUT, &reply, err);
    if (r < 0)
        return fleet_fail(fleet, &reply, err, r);
    if (fleet->json)
        return report_json(reply.body, EXIT_OK);
    return report_text(told(reply.body), EXIT_OK);
}

/* It shows a person: nobody else may read the file. */
static int get(Fleet *fleet, char **argv, Error *err)
{
    _cleanup_(freep) char *path = face_path(argv), *jpeg = NULL;
    _cleanup_(api_reply_done) ApiReply reply = {};
    size_t len = 0;
    int r = path ? fleet_begin(fleet, err) : -ENOMEM;

    if (r >= 0)
        r = api_fetch(&fleet->api, path, CALL_TIMEOUT, &reply, &jpeg, &len, err);
    if (r >= 0)
        r = file_write_atomic(argv[3], jpeg, len, 0600, (uid_t) -1, (gid_t) -1, err);
    return r < 0 ? fleet_fail(fleet, &reply, err, r)
                 : report_text(str_format("%s: %zu bytes\n", argv[3], len), EXIT_OK);
}

int verb_community_face(int argc, char **argv, void *userdata)
{
    static const FleetView removed = { .text = told };
    Fleet *fleet = userdata;
    _cleanup_(error_done) Error err = {};

    if (str_equal(argv[0], "set") && argc == 5)
        return set(fleet, argv + 1, &err);
    if (str_equal(argv[0], "get") && argc == 5)
        return get(fleet, argv + 1, &err);
    if (str_equal(argv[0], "remove") && argc == 4)
        return fleet_show(fleet, "DELETE", face_path(argv + 1), NULL, &removed);
    return fleet_fail(
        fleet, NULL, &err,
        error_set(&err, EINVAL, "usage",
                  "community face takes: set C TABLE ID FILE, get C TABLE ID FILE, remove C TABLE ID; TABLE "
                  "is users or bans"));
}

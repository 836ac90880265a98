/* SPDX-License-Identifier: MIT */
/* community photo: a photo that an event names, into a file. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "gateway/fleet/fleet.h"
#include "lib/base/fileio.h"
#include "lib/base/strv.h"
#include "lib/cli/report.h"
#include "lib/data/digest.h"

static int report(const Fleet *fleet, const char *path, const char *sha256, size_t len)
{
    _cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();

    if (!fleet->json)
        return report_text(str_format("%s: %zu bytes\n", path, len), EXIT_OK);
    if (!o || json_add_string(o, "file", path) < 0 || json_add_string(o, "sha256", sha256) < 0 ||
        json_add_int(o, "bytes", (int) len) < 0)
        return fleet_fail(fleet, NULL, NULL, -ENOMEM);
    return report_json(o, EXIT_OK);
}

/* A photo shows people: nobody else may read the file. */
int verb_community_photo(int argc _unused_, char **argv, void *userdata)
{
    Fleet *fleet = userdata;
    _cleanup_(freep) char *community = api_encode(argv[0]), *photo = api_encode(argv[1]), *data = NULL;
    _cleanup_(freep) char *path =
        community && photo ? str_format("/v1/communities/%s/photos/%s", community, photo) : NULL;
    _cleanup_(api_reply_done) ApiReply reply = {};
    _cleanup_(error_done) Error err = {};
    char digest[SHA256_HEX_SIZE];
    size_t len = 0;
    int r = path ? fleet_begin(fleet, &err) : -ENOMEM;

    if (r >= 0)
        r = api_fetch(&fleet->api, path, CALL_TIMEOUT, &reply, &data, &len, &err);
    if (r >= 0)
        r = sha256_hex(data, len, digest);
    if (r >= 0 && !str_equal(digest, argv[1]))
        r = error_set(&err, EHOSTUNREACH, "api.bad-answer", "what came is another photo than was asked for");
    if (r >= 0)
        r = file_write_atomic(argv[2], data, len, 0600, (uid_t) -1, (gid_t) -1, &err);
    return r < 0 ? fleet_fail(fleet, &reply, &err, r) : report(fleet, argv[2], digest, len);
}

/* SPDX-License-Identifier: MIT */
/* The files that a compose file names beside itself, on their way to the gateway. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "compose/gather/travel.h"
#include "gateway/fleet/fleet.h"
#include "lib/base/strv.h"

#define UPLOAD_TIMEOUT (10 * USEC_PER_MINUTE)

static int upload(Fleet *fleet, const char *digest, const char *data, size_t len, Error *err)
{
    _cleanup_(api_reply_done) ApiReply reply = {};
    _cleanup_(freep) char *path = str_format("/v1/bundles/%s", digest);

    int r = path ? fleet_begin(fleet, err) : error_from_errno(err, -ENOMEM, "make a request");
    if (r >= 0)
        r = api_send(&fleet->api, "PUT", path, "application/gzip", data, len, UPLOAD_TIMEOUT, &reply, err);
    if (r == -EREMOTEIO && (reply.status == 404 || reply.status == 405)) {
        error_done(err);
        return error_set(
            err, EOPNOTSUPP, "fleet.no-files",
            "the gateway is too old to take the files that the compose file names beside itself: update it, or "
            "put them on the box, name what `configs` have by its absolute path, and give --no-files");
    }
    return r;
}

int fleet_send_files(Fleet *fleet, const Gathered *g, cJSON *request, char ret_digest[static SHA256_HEX_SIZE],
                     Error *err)
{
    _cleanup_(bundle_pack_freep) BundlePack *pack = NULL;
    _cleanup_(freep) char *data = NULL;
    char digest[BUNDLE_DIGEST_SIZE];
    size_t len = 0;
    int r = fleet->no_files ? 0 : project_pack(g, &pack, err);

    if (r < 0)
        return r;
    if (!pack)
        return error_from_errno(err, bundle_snapshot_digest(g->text, NULL, ret_digest), "digest the compose file");
    r = project_pack_check_open(g, pack, err);
    if (r >= 0)
        r = bundle_pack_finish(pack, &data, &len, digest, err);
    if (r >= 0)
        r = upload(fleet, digest, data, len, err);
    if (r < 0)
        return r;
    if (!fleet->json)
        fprintf(stderr, "%zu of the files beside it travel with it\n", bundle_pack_count(pack));
    cJSON *bundle = cJSON_AddObjectToObject(request, "bundle");
    r = bundle && json_add_string(bundle, "digest", digest) >= 0 ? bundle_snapshot_digest(g->text, digest, ret_digest)
                                                                 : -ENOMEM;
    return error_from_errno(err, r, "make a request");
}

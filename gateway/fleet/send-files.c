/* SPDX-License-Identifier: MIT */
/* The files that a compose file names beside itself, on their way to the gateway. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "compose/gather/travel.h"
#include "gateway/fleet/fleet.h"
#include "lib/base/encode.h"
#include "lib/base/strv.h"

#define UPLOAD_TIMEOUT (10 * USEC_PER_MINUTE)
#define UPLOAD_BYTES_PER_SECOND 65536
#define KEYS_TIMEOUT (150 * USEC_PER_SEC)

int fleet_upload(Fleet *fleet, const char *digest, const char *data, size_t len, Error *err)
{
    _cleanup_(api_reply_done) ApiReply reply = {};
    _cleanup_(freep) char *path = str_format("/v1/bundles/%s", digest);
    usec_t timeout = UPLOAD_TIMEOUT + len / UPLOAD_BYTES_PER_SECOND * USEC_PER_SEC;

    int r = path ? fleet_begin(fleet, err) : error_from_errno(err, -ENOMEM, "make a request");
    if (r >= 0)
        r = api_send(&fleet->api, "PUT", path, "application/gzip", data, len, timeout, &reply, err);
    if (r == -EREMOTEIO && (reply.status == 404 || reply.status == 405)) {
        error_done(err);
        return error_set(err, EOPNOTSUPP, "fleet.no-files",
                         "the gateway is too old to take files that travel with an order: update it; those of a "
                         "compose file you can "
                         "put on the box, name what `configs` have by its absolute path, and give --no-files");
    }
    return r;
}

/* One content key for what is sealed, and that wrapped for the boxes. */
static int seal(Fleet *fleet, const Gathered *g, FleetTarget to, BundlePack *pack, cJSON **ret_keys, Error *err)
{
    uint8_t key[SEAL_KEY_SIZE];
    int r;

    random_bytes(key, sizeof(key));
    r = fleet_wrap_key(fleet, to, key, ret_keys, err);
    if (r >= 0)
        r = project_pack_seal(g, pack, key, err);
    explicit_bzero(key, sizeof(key));
    return r;
}

static int upload_keys(Fleet *fleet, const char *digest, cJSON *keys, Error *err)
{
    _cleanup_(freep) char *path = str_format("/v1/bundles/%s/keys", digest);
    _cleanup_(cJSON_Deletep) cJSON *body = cJSON_CreateObject();
    _cleanup_(api_reply_done) ApiReply reply = {};

    if (json_add_item(body, "keys", keys) < 0)
        return error_from_errno(err, -ENOMEM, "make a request");
    return fleet_ask(fleet, "POST", path, body, KEYS_TIMEOUT, &reply, err);
}

/* `keys` is taken; NULL when nothing is sealed. */
static int send(Fleet *fleet, BundlePack *pack, cJSON *keys, char ret_digest[static BUNDLE_DIGEST_SIZE], Error *err)
{
    _cleanup_(freep) char *data = NULL;
    size_t len = 0;
    int r = bundle_pack_finish(pack, &data, &len, ret_digest, err);

    if (r >= 0)
        r = fleet_upload(fleet, ret_digest, data, len, err);
    if (r >= 0 && keys)
        return upload_keys(fleet, ret_digest, keys, err);
    cJSON_Delete(keys);
    return r;
}

int fleet_send_files(Fleet *fleet, const Gathered *g, FleetTarget to, cJSON *request,
                     char ret_digest[static SHA256_HEX_SIZE], Error *err)
{
    _cleanup_(bundle_pack_freep) BundlePack *pack = NULL;
    char digest[BUNDLE_DIGEST_SIZE];
    cJSON *keys = NULL;
    bool knows = to.device || to.labels, seals = knows && project_has_secrets(g);
    int r = fleet->no_files ? 0 : project_pack(g, &pack, err);

    if (r < 0)
        return r;
    if (!pack)
        return error_from_errno(err, bundle_snapshot_digest(g->text, NULL, ret_digest), "digest the compose file");
    r = project_pack_check_open(g, pack, knows, err);
    if (r >= 0 && seals)
        r = seal(fleet, g, to, pack, &keys, err);
    if (r >= 0)
        r = send(fleet, pack, TAKE_PTR(keys), digest, err);
    cJSON_Delete(keys);
    if (r < 0)
        return r;
    if (!fleet->json)
        fprintf(stderr, "%zu of the files beside it travel with it%s\n", bundle_pack_count(pack),
                seals ? ", secrets sealed" : "");
    cJSON *bundle = cJSON_AddObjectToObject(request, "bundle");
    r = bundle && json_add_string(bundle, "digest", digest) >= 0 ? bundle_snapshot_digest(g->text, digest, ret_digest)
                                                                 : -ENOMEM;
    return error_from_errno(err, r, "make a request");
}

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
#define KEYS_TIMEOUT (150 * USEC_PER_SEC)

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

/* One content key for what is sealed, and that wrapped for the box. */
static int seal(Fleet *fleet, const Gathered *g, const char *device, BundlePack *pack, char **ret_wrapped, Error *err)
{
    uint8_t key[SEAL_KEY_SIZE], to[HPKE_KEY_SIZE];
    int r = fleet_seal_key(fleet, device, to, err);

    if (r < 0)
        return r;
    random_bytes(key, sizeof(key));
    r = project_pack_seal(g, pack, key, err);
    if (r >= 0)
        r = error_from_errno(err, seal_wrap(key, to, device, ret_wrapped), "seal the secrets");
    explicit_bzero(key, sizeof(key));
    return r;
}

static int upload_key(Fleet *fleet, const char *digest, const char *device, const char *wrapped, Error *err)
{
    _cleanup_(freep) char *path = str_format("/v1/bundles/%s/keys", digest);
    _cleanup_(cJSON_Deletep) cJSON *body = cJSON_CreateObject();
    _cleanup_(api_reply_done) ApiReply reply = {};
    cJSON *keys = body ? cJSON_AddObjectToObject(body, "keys") : NULL;

    if (!keys || json_add_string(keys, device, wrapped) < 0)
        return error_from_errno(err, -ENOMEM, "make a request");
    return fleet_ask(fleet, "POST", path, body, KEYS_TIMEOUT, &reply, err);
}

/* `wrapped`: NULL when nothing is sealed. */
static int send(Fleet *fleet, BundlePack *pack, const char *device, const char *wrapped,
                char ret_digest[static BUNDLE_DIGEST_SIZE], Error *err)
{
    _cleanup_(freep) char *data = NULL;
    size_t len = 0;
    int r = bundle_pack_finish(pack, &data, &len, ret_digest, err);

    if (r >= 0)
        r = upload(fleet, ret_digest, data, len, err);
    return r < 0 || !wrapped ? r : upload_key(fleet, ret_digest, device, wrapped, err);
}

int fleet_send_files(Fleet *fleet, const Gathered *g, const char *device, cJSON *request,
                     char ret_digest[static SHA256_HEX_SIZE], Error *err)
{
    _cleanup_(bundle_pack_freep) BundlePack *pack = NULL;
    _cleanup_(freep) char *wrapped = NULL;
    char digest[BUNDLE_DIGEST_SIZE];
    int r = fleet->no_files ? 0 : project_pack(g, &pack, err);

    if (r < 0)
        return r;
    if (!pack)
        return error_from_errno(err, bundle_snapshot_digest(g->text, NULL, ret_digest), "digest the compose file");
    r = project_pack_check_open(g, pack, device != NULL, err);
    if (r >= 0 && device && project_has_secrets(g))
        r = seal(fleet, g, device, pack, &wrapped, err);
    if (r >= 0)
        r = send(fleet, pack, device, wrapped, digest, err);
    if (r < 0)
        return r;
    if (!fleet->json)
        fprintf(stderr, "%zu of the files beside it travel with it%s\n", bundle_pack_count(pack),
                wrapped ? ", secrets sealed" : "");
    cJSON *bundle = cJSON_AddObjectToObject(request, "bundle");
    r = bundle && json_add_string(bundle, "digest", digest) >= 0 ? bundle_snapshot_digest(g->text, digest, ret_digest)
                                                                 : -ENOMEM;
    return error_from_errno(err, r, "make a request");
}

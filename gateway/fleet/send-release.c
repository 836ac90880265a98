/* SPDX-License-Identifier: MIT */
/* The archive of a release, on its way to the gateway, from where boxes fetch it. */
#include <errno.h>

#include "gateway/fleet/fleet.h"
#include "lib/base/fileio.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/data/bundle.h"
#include "lib/data/release-manifest.h"

static int read_manifest(const char *data, size_t len, ReleaseManifest *ret, Error *err)
{
    _cleanup_(freep) char *text = NULL;
    size_t n = 0;
    int r = bundle_peek(data, len, RELEASE_MANIFEST_NAME, RELEASE_MANIFEST_MAX, &text, &n);

    if (r < 0 && r != -ENOMEM)
        return error_set(err, EBADMSG, "release.bad-manifest",
                         "the archive has no " RELEASE_MANIFEST_NAME
                         " in it: it is no release, `make release` makes one");
    return r < 0 ? r : release_manifest_parse(text, n, ret, err);
}

int fleet_send_release(Fleet *fleet, const char *file, const char *key, cJSON *request,
                       char ret_sha256[static SHA256_HEX_SIZE], Error *err)
{
    _cleanup_(release_manifest_done) ReleaseManifest m = {};
    _cleanup_(freep) char *data = NULL;
    char digest[BUNDLE_DIGEST_SIZE];
    size_t len = 0;
    int r = file_read_followed(file, BUNDLE_SIZE_MAX, &data, &len, err);

    if (r >= 0)
        r = read_manifest(data, len, &m, err);
    if (r >= 0)
        r = bundle_digest(data, len, digest);
    if (r >= 0)
        r = sha256_hex(data, len, ret_sha256);
    if (r >= 0)
        r = fleet_upload(fleet, digest, data, len, err);
    if (r >= 0)
        r = json_add_string(request, key, m.version);
    if (r < 0)
        return error_from_errno(err, r, "cannot send %s", file);
    cJSON *bundle = cJSON_AddObjectToObject(request, "bundle");
    return error_from_errno(err, bundle ? json_add_string(bundle, "digest", digest) : -ENOMEM, "make a request");
}

/* SPDX-License-Identifier: MIT */
/* The archive of a release, on its way to the gateway, from where boxes fetch it. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/fleet/fleet.h"
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

/* Mapped, since it may be longer than what a command should have in memory. */
static int map_file(const char *file, const char **ret, size_t *ret_len, Error *err)
{
    _cleanup_(closep) int fd = open(file, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return error_set(err, errno, "file.read", "cannot open %s: %s", file, strerror(errno));
    if (!S_ISREG(st.st_mode) || st.st_size == 0)
        return error_set(err, EBADMSG, "release.bad-manifest", "it is no release: `make release` makes one");
    if ((uint64_t) st.st_size > RELEASE_SIZE_MAX)
        return error_set(err, EFBIG, "release.too-large", "a release may have %zu MB",
                         RELEASE_SIZE_MAX / (1024 * 1024));
    void *data = mmap(NULL, (size_t) st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED)
        return error_set(err, errno, "file.read", "cannot read %s: %s", file, strerror(errno));
    *ret = data;
    *ret_len = (size_t) st.st_size;
    return 0;
}

static int send(Fleet *fleet, const char *data, size_t len, const char *key, cJSON *request,
                char ret_sha256[static SHA256_HEX_SIZE], Error *err)
{
    _cleanup_(release_manifest_done) ReleaseManifest m = {};
    char digest[BUNDLE_DIGEST_SIZE];
    int r = read_manifest(data, len, &m, err);

    if (r >= 0)
        r = bundle_digest(data, len, digest);
    if (r < 0)
        return r;
    memcpy(ret_sha256, digest + strlen(BUNDLE_DIGEST_PREFIX), SHA256_HEX_SIZE);
    r = fleet_upload(fleet, digest, data, len, err);
    if (r >= 0)
        r = json_add_string(request, key, m.version);
    if (r < 0)
        return r;
    cJSON *bundle = cJSON_AddObjectToObject(request, "bundle");
    return error_from_errno(err, bundle ? json_add_string(bundle, "digest", digest) : -ENOMEM, "make a request");
}

int fleet_send_release(Fleet *fleet, const char *file, const char *key, cJSON *request,
                       char ret_sha256[static SHA256_HEX_SIZE], Error *err)
{
    const char *data = NULL;
    size_t len = 0;
    int r = map_file(file, &data, &len, err);

    if (r >= 0)
        r = send(fleet, data, len, key, request, ret_sha256, err);
    if (data)
        munmap((void *) (uintptr_t) data, len);
    return r < 0 ? error_from_errno(err, r, "cannot send %s", file) : 0;
}

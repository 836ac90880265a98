/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/secboxctl/local-files.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "compose/gather/travel.h"
#include "lib/base/fileio.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"

/* Root's alone: what may not pass through a cloud may be in it. */
static int leave(const char *digest, const char *data, size_t len, char **ret, Error *err)
{
    _cleanup_(freep) char *name =
        str_format(LOCAL_BUNDLE "%s-%d", digest + strlen(BUNDLE_DIGEST_PREFIX), (int) getpid());
    _cleanup_(freep) char *path = name ? path_in_root(name) : NULL, *folder = path_in_root(BUNDLES_DIR);
    int r = path && folder ? dir_make(folder, 0700, (uid_t) -1, (gid_t) -1, err) : -ENOMEM;

    if (r == 0)
        r = file_write_atomic(path, data, len, 0600, (uid_t) -1, (gid_t) -1, err);
    if (r == 0)
        *ret = TAKE_PTR(path);
    return r;
}

int local_files_leave(const Secboxctl *ctl, const Gathered *g, cJSON *request, char **ret, Error *err)
{
    _cleanup_(bundle_pack_freep) BundlePack *pack = NULL;
    _cleanup_(secret_freep) char *data = NULL;
    char digest[BUNDLE_DIGEST_SIZE];
    size_t len = 0;
    int r = ctl->no_files ? 0 : project_pack(g, &pack, err);

    if (r < 0 || !pack)
        return r;
    r = secboxctl_need_root(ctl, err);
    if (r >= 0)
        r = bundle_pack_finish(pack, &data, &len, digest, err);
    if (r >= 0)
        r = leave(digest, data, len, ret, err);
    if (r < 0)
        return r;
    cJSON *bundle = cJSON_AddObjectToObject(request, "bundle");
    if (!bundle || json_add_string(bundle, "digest", digest) < 0)
        return error_from_errno(err, -ENOMEM, "make a request");
    if (!ctl->json)
        fprintf(stderr, "%zu of the files beside it go along\n", bundle_pack_count(pack));
    return 0;
}

void local_files_remove(const char *path)
{
    if (path)
        (void) unlink(path);
}

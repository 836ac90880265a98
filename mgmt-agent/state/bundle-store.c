/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fileio.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "mgmt-agent/state/bundle-store-impl.h"

char *bundle_store_path(const char *name)
{
    _cleanup_(freep) char *path = str_format(BUNDLES_DIR "/%s", name);

    return path ? path_in_root(path) : NULL;
}

int bundle_store_lock(int kind, int *ret, Error *err)
{
    _cleanup_(freep) char *folder = path_in_root(BUNDLES_DIR), *path = bundle_store_path("lock");
    _cleanup_(closep) int fd = -1;
    int r = folder && path ? dir_make(folder, 0700, (uid_t) -1, (gid_t) -1, err) : -ENOMEM;

    if (r < 0)
        return r;
    fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_set(err, errno, "bundle.write", "%s cannot be opened: %s", path, strerror(errno));
    if (flock(fd, kind) < 0)
        return errno == EWOULDBLOCK
                   ? -EAGAIN
                   : error_set(err, errno, "bundle.write", "%s cannot be locked: %s", path, strerror(errno));
    *ret = TAKE_FD(fd);
    return 0;
}

KeptBundle *kept_bundle_free(KeptBundle *b)
{
    if (!b)
        return NULL;
    if (b->lock >= 0)
        close(b->lock);
    free(b->folder);
    free(b->tree);
    free(b->placed);
    free(b);
    return NULL;
}

/* The archive as it lies in one place, once it is what it should be. -ENOENT when it does not lie there. */
static int read_archive(const char *path, const char *digest, char **ret, size_t *ret_len, Error *err)
{
    _cleanup_(freep) char *data = NULL;
    char found[BUNDLE_DIGEST_SIZE];
    int r = file_read(path, BUNDLE_SIZE_MAX, &data, ret_len, err);

    if (r == 0)
        r = bundle_digest(data, *ret_len, found);
    if (r == 0 && !str_equal(found, digest))
        return error_set(err, EBADMSG, "bundle.digest",
                         "the files that came with the snapshot are not those that it names: %s, and not %s", found,
                         digest);
    if (r == 0)
        *ret = TAKE_PTR(data);
    return r;
}

/* As a secboxctl left it. -ENOENT: none has, or what it left is not what it should be. */
static int find_local(const char *hex, const char *digest, char **ret, size_t *ret_len)
{
    _cleanup_(freep) char *folder = path_in_root(BUNDLES_DIR), *ours = str_format(LOCAL_BUNDLE_NAME "%s", hex);
    DIR *dir = folder && ours ? opendir(folder) : NULL;
    int r = folder && ours ? -ENOENT : -ENOMEM;

    for (struct dirent *e; dir && r < 0 && r != -ENOMEM && (e = readdir(dir));) {
        _cleanup_(freep) char *path = str_starts(e->d_name, ours) ? path_join(folder, e->d_name) : NULL;

        if (str_starts(e->d_name, ours))
            r = path ? read_archive(path, digest, ret, ret_len, NULL) : -ENOMEM;
    }
    if (dir)
        closedir(dir);
    return r;
}

/* As secboxctl left it, or mgmt-link has fetched it. */
static int find_archive(const char *hex, const char *digest, char **ret, size_t *ret_len, Error *err)
{
    _cleanup_(freep) char *fetched = str_format(LINK_BUNDLES_DIR "/%s", hex),
                          *path = fetched ? path_in_root(fetched) : NULL;
    _cleanup_(error_done) Error why = {};
    int r = path ? find_local(hex, digest, ret, ret_len) : -ENOMEM;

    if (r < 0 && r != -ENOMEM)
        r = read_archive(path, digest, ret, ret_len, &why);
    if (r == -ENOENT)
        return error_set(err, ENOENT, "bundle.not-here",
                         "the files that belong to the snapshot (%.19s…) did not come; push it again", digest);
    if (r < 0)
        (void) error_copy(err, &why);
    return r;
}

/* Beside its place, synced, and then renamed: a power cut leaves it there as a whole or not at all. */
static int unpack_beside(const KeptBundle *b, const char *data, size_t len, const char *beside, Error *err)
{
    _cleanup_(freep) char *tree = path_join(beside, "tree"), *parent = path_in_root(BUNDLES_DIR);
    _cleanup_(closep) int dir = -1;
    int r = tree && parent ? dir_remove(beside, err) : -ENOMEM;

    if (r == 0)
        r = dir_make(tree, 0700, (uid_t) -1, (gid_t) -1, err);
    if (r == 0)
        r = bundle_unpack(data, len, tree, err);
    if (r == 0)
        r = bundle_store_sync(beside, err);
    if (r < 0)
        return r;
    dir = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0 || (rename(beside, b->folder) < 0 && errno != ENOTEMPTY && errno != EEXIST) || fsync(dir) < 0)
        return error_set(err, errno, "bundle.write", "%s cannot be kept: %s", b->folder, strerror(errno));
    return 0;
}

static int unpack(const KeptBundle *b, const char *hex, const char *digest, Error *err)
{
    _cleanup_(freep) char *name = str_format("new-%s-%d", hex, (int) getpid()),
                          *beside = name ? bundle_store_path(name) : NULL, *data = NULL;
    size_t len = 0;
    int r = beside ? find_archive(hex, digest, &data, &len, err) : -ENOMEM;

    if (r < 0)
        return r;
    r = unpack_beside(b, data, len, beside, err);
    if (dir_remove(beside, NULL) < 0) /* it is there when that failed, or when another worker was faster */
        log_debug("%s is left for the next sweep", beside);
    return r;
}

int kept_bundle_open(const char *digest, KeptBundle **ret, Error *err)
{
    _cleanup_(kept_bundle_freep) KeptBundle *b = calloc(1, sizeof(*b));
    const char *hex = digest + strlen(BUNDLE_DIGEST_PREFIX);
    struct stat st;
    int r;

    if (!b)
        return -ENOMEM;
    b->lock = -1;
    b->folder = bundle_store_path(hex);
    b->tree = b->folder ? path_join(b->folder, "tree") : NULL;
    b->placed = b->folder ? path_join(b->folder, "placed") : NULL;
    if (!b->tree || !b->placed)
        return -ENOMEM;
    r = bundle_store_lock(LOCK_SH, &b->lock, err);
    if (r == 0 && lstat(b->tree, &st) < 0)
        r = unpack(b, hex, digest, err);
    if (r == 0)
        *ret = TAKE_PTR(b);
    return r;
}

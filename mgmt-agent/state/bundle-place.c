/* SPDX-License-Identifier: MIT */
/* From what was unpacked to what containers mount. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/fileio.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "mgmt-agent/state/bundle-store-impl.h"

#define PLACE_DIGITS 32
#define LISTING_MAX ((size_t) 4 * 1024 * 1024)

static char *path_in_tree(const KeptBundle *b, const char *path)
{
    return bundle_path_is_valid(path) ? path_join(b->tree, path) : NULL;
}

KeptKind kept_bundle_find(const KeptBundle *b, const char *path)
{
    _cleanup_(freep) char *full = b ? path_in_tree(b, path) : NULL;
    struct stat st;

    if (!full || lstat(full, &st) < 0)
        return KEPT_NOTHING;
    return S_ISREG(st.st_mode) ? KEPT_FILE : S_ISDIR(st.st_mode) ? KEPT_FOLDER : KEPT_NOTHING;
}

int kept_bundle_read_bytes(const KeptBundle *b, const char *path, size_t max, char **ret, size_t *ret_len, Error *err)
{
    _cleanup_(freep) char *full = b ? path_in_tree(b, path) : NULL;

    return full ? file_read(full, max, ret, ret_len, err)
                : error_set(err, ENOENT, "bundle.damaged", "the file %s did not come with the snapshot", path);
}

int kept_bundle_read(const KeptBundle *b, const char *path, size_t max, char **ret, Error *err)
{
    _cleanup_(secret_freep) char *text = NULL;
    size_t len = 0;
    int r = kept_bundle_read_bytes(b, path, max, &text, &len, err);

    if (r == 0 && memchr(text, '\0', len))
        return error_set(err, EBADMSG, "bundle.damaged", "the file %s, which came with the snapshot, is no text", path);
    if (r == 0)
        *ret = TAKE_PTR(text);
    return r;
}

static int is_named(const struct dirent *e)
{
    return !str_equal(e->d_name, ".") && !str_equal(e->d_name, "..");
}

int bundle_store_walk(const char *path, const char *below, bundle_visit_t visit, void *userdata, Error *err)
{
    struct dirent **entries = NULL;
    struct stat st;
    int n = 0, r;

    if (lstat(path, &st) < 0)
        return error_set(err, errno, "bundle.damaged", "%s is gone: %s", path, strerror(errno));
    r = visit(path, below, &st, userdata, err);
    if (r == 0 && S_ISDIR(st.st_mode) && (n = scandir(path, &entries, is_named, alphasort)) < 0)
        return error_set(err, errno, "bundle.damaged", "%s cannot be read: %s", path, strerror(errno));
    for (int i = 0; i < n; i++) {
        _cleanup_(freep) char *next = path_join(path, entries[i]->d_name), *name = path_join(below, entries[i]->d_name);

        if (r == 0)
            r = next && name ? bundle_store_walk(next, name, visit, userdata, err) : -ENOMEM;
        free(entries[i]);
    }
    free(entries);
    return r;
}

static int list(const char *path, const char *below, const struct stat *st, void *userdata, Error *err)
{
    _cleanup_(secret_freep) char *content = NULL;
    char hex[SHA256_HEX_SIZE] = "";
    size_t len = 0;
    int r = S_ISREG(st->st_mode) ? file_read(path, BUNDLE_CONTENT_MAX, &content, &len, err) : 0;

    if (r == 0 && content)
        r = sha256_hex(content, len, hex);
    return r < 0 ? r
                 : buf_printf(userdata, "%c%c %s %s\n", S_ISDIR(st->st_mode) ? 'd' : 'f',
                              st->st_mode & S_IXUSR ? 'x' : '-', hex, below);
}

static int sync_one(const char *path, const char *below, const struct stat *st, void *userdata, Error *err)
{
    _cleanup_(closep) int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

    (void) below;
    (void) st;
    (void) userdata;
    return fd < 0 || fsync(fd) < 0
               ? error_set(err, errno, "bundle.write", "%s cannot be written: %s", path, strerror(errno))
               : 0;
}

int bundle_store_sync(const char *path, Error *err)
{
    return bundle_store_walk(path, "", sync_one, NULL, err);
}

static int copy(const char *path, const char *below, const struct stat *st, void *userdata, Error *err)
{
    _cleanup_(freep) char *to = path_join(userdata, below);
    _cleanup_(secret_freep) char *content = NULL;
    _cleanup_(closep) int fd = -1;
    size_t len = 0;
    int r = to ? 0 : -ENOMEM;

    if (r == 0 && S_ISDIR(st->st_mode))
        return dir_make(to, 0755, (uid_t) -1, (gid_t) -1, err);
    if (r == 0)
        r = file_read(path, BUNDLE_CONTENT_MAX, &content, &len, err);
    if (r < 0)
        return r;
    fd = open(to, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0 || (r = fd_write_all(fd, content, len)) < 0 || fchmod(fd, st->st_mode & S_IXUSR ? 0755 : 0644) < 0)
        return error_set(err, r < 0 ? -r : errno, "bundle.write", "%s cannot be written: %s", to,
                         strerror(r < 0 ? -r : errno));
    return 0;
}

/* Whoever sweeps knows what belongs to which bundle before it is there. */
static int note_placed(const KeptBundle *b, const char *id, Error *err)
{
    _cleanup_(freep) char *old = NULL;
    _cleanup_(error_done) Error unused = {};
    _cleanup_(buf_done) Buf text = BUF_INIT(PLACED_MAX);
    int r = file_read(b->placed, PLACED_MAX, &old, NULL, &unused);

    if (r == 0 && strstr(old, id))
        return 0;
    if (r < 0 && r != -ENOENT)
        return error_set(err, -r, "bundle.write", "%s", error_message(&unused, r));
    r = buf_printf(&text, "%s%s\n", old ? old : "", id);
    return r < 0 ? r : file_write_atomic(b->placed, text.data, text.len, 0600, (uid_t) -1, (gid_t) -1, err);
}

/* As in the store: beside its place, synced, renamed. */
static int make_place(const char *from, const char *name, const char *files, const char *place, Error *err)
{
    _cleanup_(freep) char *beside = str_format("%s/new-%s-%d", files, strrchr(place, '/') + 1, (int) getpid());
    _cleanup_(closep) int dir = open(files, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r = beside ? dir_remove(beside, err) : -ENOMEM;

    if (r == 0)
        r = dir_make(beside, 0755, (uid_t) -1, (gid_t) -1, err);
    if (r == 0)
        r = bundle_store_walk(from, name, copy, beside, err);
    if (r == 0)
        r = bundle_store_sync(beside, err);
    if (r == 0 && (dir < 0 || (rename(beside, place) < 0 && errno != ENOTEMPTY && errno != EEXIST) || fsync(dir) < 0))
        r = error_set(err, errno, "bundle.write", "%s cannot be made: %s", place, strerror(errno));
    if (beside && dir_remove(beside, NULL) < 0)
        log_debug("%s is left for the next sweep", beside);
    return r;
}

static int place_id(const char *from, const char *name, char ret[static SHA256_HEX_SIZE], Error *err)
{
    _cleanup_(buf_done) Buf listing = BUF_INIT(LISTING_MAX);
    int r = bundle_store_walk(from, name, list, &listing, err);

    if (r == 0)
        r = sha256_hex(listing.data, listing.len, ret);
    ret[PLACE_DIGITS] = '\0';
    return r;
}

int kept_bundle_place(const KeptBundle *b, const char *path, gid_t gid, char **ret, Error *err)
{
    _cleanup_(freep) char *from = path_in_tree(b, path), *files = path_in_root(FILES_DIR), *place = NULL;
    const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    char id[SHA256_HEX_SIZE];
    struct stat st;
    int r = from && files ? place_id(from, name, id, err) : -ENOMEM;

    if (r < 0)
        return r;
    place = path_join(files, id);
    r = place ? dir_make(files, 0750, geteuid() == 0 ? 0 : (uid_t) -1, gid, err) : -ENOMEM;
    if (r == 0)
        r = note_placed(b, id, err);
    if (r == 0 && lstat(place, &st) < 0)
        r = make_place(from, name, files, place, err);
    if (r < 0)
        return r;
    *ret = path_join(place, name);
    return *ret ? 0 : -ENOMEM;
}

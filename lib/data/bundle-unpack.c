/* SPDX-License-Identifier: MIT */
/* Out of the archive. It was made by somebody else: only plain files and folders come out of it, whose names and sizes were looked
 * at here, and libarchive itself is told to leave the folder by no way. */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/limits.h"
#include "lib/base/map.h"
#include "lib/base/strv.h"
#include "lib/data/bundle.h"

#define SECURE                                                                                                         \
    (ARCHIVE_EXTRACT_SECURE_NODOTDOT | ARCHIVE_EXTRACT_SECURE_SYMLINKS | ARCHIVE_EXTRACT_SECURE_NOABSOLUTEPATHS |      \
     ARCHIVE_EXTRACT_NO_OVERWRITE | ARCHIVE_EXTRACT_PERM)
/* headers and folders: what an archive says of files that it has not */
#define ENTRIES_MAX (2 * BUNDLE_FILES_MAX)
#define BLOCK_SIZE ((size_t) 64 * 1024)

typedef struct Unpack {
    struct archive *from, *to;
    Map *seen; /* values are not used */
    size_t n, n_files;
    uint64_t bytes, bytes_max;
} Unpack;

/* Where it is: in memory, or, with data NULL, in a file. */
typedef struct Source {
    const char *data;
    size_t len;
    int fd;
} Source;

static int damaged(const Unpack *u, Error *err)
{
    const char *why = archive_error_string(u->from);

    return error_set(err, EBADMSG, "bundle.damaged", "the archive of files is damaged: %.200s", why ? why : "cut off");
}

static int write_error(const Unpack *u, const char *path, Error *err)
{
    const char *why = archive_error_string(u->to);
    int code = archive_errno(u->to);

    return error_set(err, code > 0 ? code : EIO, "bundle.write", "the file %s cannot be unpacked: %.200s", path,
                     why ? why : strerror(code > 0 ? code : EIO));
}

static int check_kind(struct archive_entry *e, const char *path, Error *err)
{
    if (archive_entry_hardlink(e) || archive_entry_symlink(e) ||
        (archive_entry_filetype(e) != AE_IFREG && archive_entry_filetype(e) != AE_IFDIR))
        return error_set(err, EBADMSG, "bundle.bad-entry", "the archive has a link or a device in it, %.200s", path);
    if (archive_entry_sparse_count(e) > 0 || !archive_entry_size_is_set(e) || archive_entry_size(e) < 0)
        return error_set(err, EBADMSG, "bundle.bad-entry", "the archive does not say how long %.200s is", path);
    return 0;
}

/* The name without the slash that tar gives a folder. */
static char *name_of(struct archive_entry *e)
{
    const char *path = archive_entry_pathname(e);
    size_t len = path ? strlen(path) : 0;

    if (len > 1 && path[len - 1] == '/' && archive_entry_filetype(e) == AE_IFDIR)
        len--;
    return strndup(path ? path : "", len);
}

static int check_entry(Unpack *u, struct archive_entry *e, const char *path, Error *err)
{
    bool is_file = archive_entry_filetype(e) == AE_IFREG;
    int r;

    if (!bundle_path_is_valid(path))
        return error_set(err, EBADMSG, "bundle.bad-path", "the archive has a file of a bad name in it, \"%.100s\"",
                         path);
    r = check_kind(e, path, err);
    if (r < 0)
        return r;
    if (++u->n > ENTRIES_MAX || (u->n_files += is_file) > BUNDLE_FILES_MAX)
        return error_set(err, E2BIG, "bundle.too-many", "the archive has more than %d files in it", BUNDLE_FILES_MAX);
    if (is_file && (uint64_t) archive_entry_size(e) > u->bytes_max - u->bytes)
        return error_set(err, EFBIG, "bundle.too-large", "the archive's files have more than %llu MB together",
                         (unsigned long long) u->bytes_max / (1024 * 1024));
    if (is_file)
        u->bytes += (uint64_t) archive_entry_size(e);
    if (map_get(u->seen, path))
        return error_set(err, EBADMSG, "bundle.bad-entry", "the archive has %.200s in it twice", path);
    return map_put(u->seen, path, u);
}

/* Nothing of what else the archive says of it counts. */
static struct archive_entry *plain_copy(struct archive_entry *e, const char *path)
{
    struct archive_entry *copy = archive_entry_new();
    bool is_file = archive_entry_filetype(e) == AE_IFREG;

    if (!copy)
        return NULL;
    archive_entry_set_pathname(copy, path);
    archive_entry_set_filetype(copy, is_file ? AE_IFREG : AE_IFDIR);
    archive_entry_set_perm(copy, is_file && !(archive_entry_perm(e) & S_IXUSR) ? 0644 : 0755);
    if (is_file)
        archive_entry_set_size(copy, archive_entry_size(e));
    return copy;
}

static int copy_content(Unpack *u, const char *path, Error *err)
{
    const void *block;
    size_t len;
    la_int64_t offset;
    int r;

    while ((r = archive_read_data_block(u->from, &block, &len, &offset)) == ARCHIVE_OK)
        if (archive_write_data_block(u->to, block, len, offset) < ARCHIVE_OK)
            return write_error(u, path, err);
    return r == ARCHIVE_EOF ? 0 : damaged(u, err);
}

static int unpack_entry(Unpack *u, struct archive_entry *e, Error *err)
{
    _cleanup_(freep) char *path = name_of(e);
    struct archive_entry *copy = NULL;
    int r = path ? check_entry(u, e, path, err) : -ENOMEM;

    if (r < 0)
        return r;
    copy = plain_copy(e, path);
    if (!copy)
        return -ENOMEM;
    if (archive_write_header(u->to, copy) != ARCHIVE_OK)
        r = write_error(u, path, err);
    if (r == 0 && archive_entry_filetype(copy) == AE_IFREG)
        r = copy_content(u, path, err);
    if (r == 0 && archive_write_finish_entry(u->to) != ARCHIVE_OK)
        r = write_error(u, path, err);
    archive_entry_free(copy);
    return r;
}

static int open_source(struct archive *a, const Source *from)
{
    return from->data ? archive_read_open_memory(a, from->data, from->len)
                      : archive_read_open_fd(a, from->fd, BLOCK_SIZE);
}

static int unpack_all(Unpack *u, const Source *from, Error *err)
{
    struct archive_entry *e;
    int r, failed = 0;

    if (archive_read_support_filter_gzip(u->from) != ARCHIVE_OK ||
        archive_read_support_format_tar(u->from) != ARCHIVE_OK ||
        /* which archive_read_open_memory() makes, too, and then does not ask whether there was memory for it */
        archive_read_set_callback_data(u->from, NULL) != ARCHIVE_OK || open_source(u->from, from) != ARCHIVE_OK)
        return damaged(u, err);
    /* one of ours: libarchive does not ask whether there was memory for its own */
    e = archive_entry_new();
    if (!e)
        return -ENOMEM;
    while ((r = archive_read_next_header2(u->from, e)) == ARCHIVE_OK && (failed = unpack_entry(u, e, err)) == 0)
        ;
    archive_entry_free(e);
    if (failed < 0)
        return failed;
    if (r == ARCHIVE_EOF && u->n_files == 0) /* as the beginning of one looks, too */
        return error_set(err, EBADMSG, "bundle.damaged", "the archive of files is empty, or cut off");
    return r == ARCHIVE_EOF ? 0 : damaged(u, err);
}

/* libarchive only refuses to leave the folder that it works in, so for this long it is that one. */
static int unpack_here(const Source *from, uint64_t max, Error *err)
{
    Unpack u = { .from = archive_read_new(), .to = archive_write_disk_new(), .seen = map_new(NULL), .bytes_max = max };
    int r = u.from && u.to && u.seen && archive_write_disk_set_options(u.to, SECURE) == ARCHIVE_OK ? 0 : -ENOMEM;

    if (r == 0)
        r = unpack_all(&u, from, err);
    if (r == 0 && archive_write_close(u.to) != ARCHIVE_OK)
        r = write_error(&u, "that came last", err);
    archive_read_free(u.from);
    archive_write_free(u.to);
    map_free(u.seen);
    return r;
}

static int unpack(const Source *from, uint64_t max, const char *folder, Error *err)
{
    _cleanup_(closep) int before = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    mode_t mask;
    int r;

    if (before < 0 || chdir(folder) < 0)
        return error_set(err, errno, "bundle.write", "nothing can be unpacked into %s: %s", folder, strerror(errno));
    mask = umask(022);
    r = unpack_here(from, max, err);
    (void) umask(mask);
    if (fchdir(before) < 0 && r == 0)
        r = error_set(err, errno, "bundle.write", "the folder before is gone: %s", strerror(errno));
    return r;
}

int bundle_unpack(const char *data, size_t len, const char *folder, Error *err)
{
    return unpack(&(const Source) { data, len, -1 }, BUNDLE_CONTENT_MAX, folder, err);
}

int bundle_unpack_fd(int fd, uint64_t max, const char *folder, Error *err)
{
    return unpack(&(const Source) { NULL, 0, fd }, max, folder, err);
}

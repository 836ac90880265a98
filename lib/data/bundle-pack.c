/* SPDX-License-Identifier: MIT */
/* Into the archive: sorted by path, with nothing in it that differs from one machine or day to another. */
#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/limits.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/data/bundle.h"

#define DEPTH_MAX 32

typedef struct PackedFile {
    char *path, *content;
    size_t len;
    bool runs;
} PackedFile;

struct BundlePack {
    PackedFile *files;
    size_t n, bytes;
};

BundlePack *bundle_pack_new(void)
{
    return calloc(1, sizeof(BundlePack));
}

BundlePack *bundle_pack_free(BundlePack *p)
{
    for (size_t i = 0; p && i < p->n; i++) {
        free(p->files[i].path);
        explicit_bzero(p->files[i].content, p->files[i].len);
        free(p->files[i].content);
    }
    if (p)
        free(p->files);
    free(p);
    return NULL;
}

size_t bundle_pack_count(const BundlePack *p)
{
    return p->n;
}

const char *bundle_pack_path(const BundlePack *p, size_t i)
{
    return p->files[i].path;
}

const char *bundle_pack_content(const BundlePack *p, size_t i, size_t *ret_len)
{
    *ret_len = p->files[i].len;
    return p->files[i].content;
}

void bundle_pack_replace(BundlePack *p, size_t i, char *content, size_t len)
{
    explicit_bzero(p->files[i].content, p->files[i].len);
    free(p->files[i].content);
    p->files[i].content = content;
    p->files[i].len = len;
}

static int read_error(const char *source, int code, Error *err)
{
    return error_set(err, code, "bundle.read", "%s cannot be read: %s", source, strerror(code));
}

static int too_large(const char *source, Error *err)
{
    return error_set(err, EFBIG, "bundle.too-large",
                     "with %s the files that travel with the compose file have more than %d MB together; keep large "
                     "ones out of it",
                     source, BUNDLE_CONTENT_MAX / (1024 * 1024));
}

/* Whole, and as long as it says; what grows meanwhile is another file. */
static int read_content(int fd, const char *source, size_t len, char **ret, Error *err)
{
    _cleanup_(secret_freep) char *content = calloc(1, len + 1);
    size_t done = 0;

    if (!content)
        return -ENOMEM;
    while (done < len) {
        ssize_t n = read(fd, content + done, len - done);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return read_error(source, errno, err);
        if (n == 0)
            return error_set(err, EAGAIN, "bundle.read", "%s changes while it is read; try again", source);
        done += (size_t) n;
    }
    *ret = TAKE_PTR(content);
    return 0;
}

static int add_file(BundlePack *p, const char *path, const char *source, int fd, const struct stat *st, Error *err)
{
    PackedFile *files;
    int r;

    if (p->n >= BUNDLE_FILES_MAX)
        return error_set(err, E2BIG, "bundle.too-many",
                         "more than %d files would travel with the compose file (%s is one too many)", BUNDLE_FILES_MAX,
                         source);
    if (st->st_size < 0 || (uint64_t) st->st_size > BUNDLE_CONTENT_MAX - p->bytes)
        return too_large(source, err);
    files = reallocarray(p->files, p->n + 1, sizeof(*files));
    if (!files)
        return -ENOMEM;
    p->files = files;
    PackedFile f = { .path = strdup(path), .len = (size_t) st->st_size, .runs = st->st_mode & S_IXUSR };
    r = f.path ? read_content(fd, source, f.len, &f.content, err) : -ENOMEM;
    if (r < 0) {
        free(f.path);
        return r;
    }
    p->bytes += f.len;
    p->files[p->n++] = f;
    return 0;
}

static int add_opened(BundlePack *p, const char *path, const char *source, int fd, unsigned depth, Error *err);

static int add_member(BundlePack *p, const char *path, const char *source, int folder, const char *name, unsigned depth,
                      Error *err)
{
    _cleanup_(freep) char *below = path_join(path, name), *shown = path_join(source, name);
    _cleanup_(closep) int fd = -1;

    if (!below || !shown)
        return -ENOMEM;
    fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 && errno == ELOOP)
        return error_set(err, ELOOP, "bundle.bad-entry",
                         "%s is a link, and links do not travel; put the file itself there, or mount only what is "
                         "needed",
                         shown);
    return fd < 0 ? read_error(shown, errno, err) : add_opened(p, below, shown, fd, depth + 1, err);
}

static int add_folder(BundlePack *p, const char *path, const char *source, int fd, unsigned depth, Error *err)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0), r = 0;
    DIR *dir = copy < 0 ? NULL : fdopendir(copy);

    if (!dir) {
        r = read_error(source, errno, err);
        if (copy >= 0)
            close(copy);
        return r;
    }
    for (struct dirent *e; r == 0 && (errno = 0, e = readdir(dir));)
        if (!str_equal(e->d_name, ".") && !str_equal(e->d_name, ".."))
            r = add_member(p, path, source, fd, e->d_name, depth, err);
    if (r == 0 && errno != 0)
        r = read_error(source, errno, err);
    closedir(dir);
    return r;
}

static int add_opened(BundlePack *p, const char *path, const char *source, int fd, unsigned depth, Error *err)
{
    struct stat st;

    if (!bundle_path_is_valid(path))
        return error_set(err, EINVAL, "bundle.bad-path",
                         "the name of %.200s cannot travel; take another one, without colons, backslashes and what "
                         "does not print, of at most %d bytes with its folders",
                         source, BUNDLE_PATH_MAX);
    if (fstat(fd, &st) < 0)
        return read_error(source, errno, err);
    if (S_ISREG(st.st_mode))
        return add_file(p, path, source, fd, &st, err);
    if (!S_ISDIR(st.st_mode))
        return error_set(err, EINVAL, "bundle.bad-entry",
                         "%s is neither a file nor a folder, and nothing else can travel", source);
    if (depth >= DEPTH_MAX)
        return error_set(err, ELOOP, "bundle.bad-entry", "%s lies %d folders deep; nothing travels from there", source,
                         DEPTH_MAX);
    return add_folder(p, path, source, fd, depth, err);
}

int bundle_pack_add(BundlePack *p, const char *path, const char *source, Error *err)
{
    _cleanup_(closep) int fd = open(source, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

    return fd < 0 ? read_error(source, errno, err) : add_opened(p, path, source, fd, 0, err);
}

static int compare_paths(const void *a, const void *b)
{
    return strcmp(((const PackedFile *) a)->path, ((const PackedFile *) b)->path);
}

static la_ssize_t on_write(struct archive *a, void *userdata, const void *data, size_t len)
{
    int r = buf_append(userdata, data, len);

    if (r == 0)
        return (la_ssize_t) len;
    archive_set_error(a, EFBIG, "the archive is too large");
    return -1;
}

static int write_file(struct archive *a, const PackedFile *f)
{
    struct archive_entry *e = archive_entry_new();
    int r;

    if (!e)
        return ARCHIVE_FATAL;
    archive_entry_set_pathname(e, f->path);
    archive_entry_set_filetype(e, AE_IFREG);
    archive_entry_set_perm(e, f->runs ? 0755 : 0644);
    archive_entry_set_size(e, (la_int64_t) f->len);
    archive_entry_set_mtime(e, 0, 0);
    r = archive_write_header(a, e);
    if (r == ARCHIVE_OK && archive_write_data(a, f->content, f->len) != (la_ssize_t) f->len)
        r = ARCHIVE_FATAL;
    archive_entry_free(e);
    return r;
}

static int write_error(struct archive *a, Error *err)
{
    if (a && archive_errno(a) != EFBIG)
        return error_set(err, EIO, "bundle.write", "the files that travel cannot be packed: %s",
                         archive_error_string(a) ? archive_error_string(a) : "no reason is given");
    return !a ? -ENOMEM
              : error_set(err, EFBIG, "bundle.too-large",
                          "the files that travel with the compose file come to more than %d MB, compressed; keep large "
                          "ones out of it",
                          BUNDLE_SIZE_MAX / (1024 * 1024));
}

static int write_all(const BundlePack *p, Buf *out, Error *err)
{
    struct archive *a = archive_write_new();
    int r = a ? ARCHIVE_OK : ARCHIVE_FATAL;

    if (r == ARCHIVE_OK)
        r = archive_write_set_format_pax_restricted(a);
    if (r == ARCHIVE_OK)
        r = archive_write_add_filter_gzip(a);
    if (r == ARCHIVE_OK)
        r = archive_write_set_options(a, "hdrcharset=BINARY,gzip:!timestamp");
    if (r == ARCHIVE_OK)
        r = archive_write_open(a, out, NULL, on_write, NULL);
    for (size_t i = 0; r == ARCHIVE_OK && i < p->n; i++)
        if (i == 0 || !str_equal(p->files[i].path, p->files[i - 1].path))
            r = write_file(a, &p->files[i]);
    if (r == ARCHIVE_OK)
        r = archive_write_close(a);
    r = r == ARCHIVE_OK ? 0 : write_error(a, err);
    archive_write_free(a);
    return r;
}

int bundle_pack_finish(BundlePack *p, char **ret, size_t *ret_len, char ret_digest[static BUNDLE_DIGEST_SIZE],
                       Error *err)
{
    _cleanup_(buf_done) Buf out = BUF_INIT(BUNDLE_SIZE_MAX);
    int r;

    if (p->n > 0)
        qsort(p->files, p->n, sizeof(p->files[0]), compare_paths);
    r = write_all(p, &out, err);
    if (r < 0)
        return r;
    r = bundle_digest(out.data, out.len, ret_digest);
    if (r < 0)
        return r;
    *ret_len = out.len;
    *ret = buf_take(&out);
    return *ret ? 0 : -ENOMEM;
}

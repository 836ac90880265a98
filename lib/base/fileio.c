/* SPDX-License-Identifier: MIT */
/* Reading with a cap; replacing so that a power cut leaves the old or the new file, never half of one. */

#include "lib/base/fileio.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "lib/base/encode.h"
#include "lib/base/strv.h"
#include "lib/base/tmp-sweep.h"

#define SWEPT_MAX 16

static int read_all(int fd, const char *path, size_t max, char **ret, size_t *ret_len, Error *err)
{
    _cleanup_(freep) char *data = NULL;
    size_t len = 0, cap = 4096;

    for (;;) {
        char *grown = realloc(data, cap + 1);
        ssize_t n;

        if (!grown)
            return error_set(err, ENOMEM, "file.read", "no memory to read %s", path);
        data = grown;
        n = read(fd, data + len, cap - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_set(err, errno, "file.read", "cannot read %s: %s", path, strerror(errno));
        if (n == 0)
            break;
        len += (size_t) n;
        if (len > max)
            return error_set(err, EFBIG, "file.too-large", "%s has more than %zu bytes", path, max);
        if (len == cap)
            cap = cap * 2;
    }
    data[len] = '\0';
    *ret = TAKE_PTR(data);
    if (ret_len)
        *ret_len = len;
    return 0;
}

/* `secret`: for its owner alone, who is `owner`, us or root. */
static int check_secret(const struct stat *st, const char *path, uid_t owner, Error *err)
{
    if (st->st_mode & 077)
        return error_set_at(
            err, EPERM, "key.bad-mode", path, 0, NULL,
            "%s can be read or changed by others (mode %04o); run chmod 600 %s, and make a new secret if "
            "somebody may have read this one",
            path, (unsigned) st->st_mode & 07777, path);
    if (st->st_uid != 0 && st->st_uid != geteuid() && st->st_uid != owner)
        return error_set_at(err, EPERM, "key.bad-mode", path, 0, NULL,
                            "%s belongs to user %u, who can read and change it; give it to its program's user by chown",
                            path, (unsigned) st->st_uid);
    return 0;
}

static int read_file(const char *path, size_t max, const uid_t *owner, char **ret, size_t *ret_len, Error *err)
{
    _cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct stat st;
    int r;

    if (fd < 0)
        return error_set(err, errno, "file.read", "cannot open %s: %s", path,
                         errno == ELOOP ? "it is a symbolic link" : strerror(errno));
    if (fstat(fd, &st) < 0)
        return error_set(err, errno, "file.read", "cannot look at %s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return error_set(err, EINVAL, "file.read", "%s is not a regular file", path);
    if ((uint64_t) st.st_size > max)
        return error_set(err, EFBIG, "file.too-large", "%s has more than %zu bytes", path, max);
    if (owner && (r = check_secret(&st, path, *owner, err)) < 0)
        return r;
    return read_all(fd, path, max, ret, ret_len, err);
}

int file_read(const char *path, size_t max, char **ret, size_t *ret_len, Error *err)
{
    return read_file(path, max, NULL, ret, ret_len, err);
}

int file_read_followed(const char *path, size_t max, char **ret, size_t *ret_len, Error *err)
{
    _cleanup_(freep) char *real = realpath(path, NULL);

    if (!real)
        return error_set(err, errno, "file.read", "cannot open %s: %s", path, strerror(errno));
    return file_read(real, max, ret, ret_len, err);
}

int file_read_secret(const char *path, size_t max, uid_t owner, char **ret, size_t *ret_len, Error *err)
{
    return read_file(path, max, &owner, ret, ret_len, err);
}

int fd_write_all(int fd, const void *data, size_t len)
{
    const char *p = data;

    while (len > 0) {
        ssize_t n = write(fd, p, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        p += n;
        len -= (size_t) n;
    }
    return 0;
}

/* Makes renames and removals in the folder durable. */
static int dir_sync(const char *path)
{
    _cleanup_(closep) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    return fsync(fd) < 0 ? -errno : 0;
}

static char *parent_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (!slash)
        return strdup(".");
    return slash == path ? strdup("/") : strndup(path, (size_t) (slash - path));
}

static int write_temporary(int fd, const void *data, size_t len, mode_t mode, uid_t uid, gid_t gid)
{
    int r = fd_write_all(fd, data, len);

    if (r < 0)
        return r;
    if (fchmod(fd, mode) < 0)
        return -errno;
    if (uid != (uid_t) -1 && fchown(fd, uid, gid) < 0)
        return -errno;
    return fsync(fd) < 0 ? -errno : 0;
}

/* Locked until it has its name, so that tmp_sweep() of another program leaves it alone. One that was swept before it was
 * locked is made again. */
static int open_temporary(const char *path, char **ret, int *ret_fd, Error *err)
{
    for (unsigned i = 0; i < SWEPT_MAX; i++) {
        _cleanup_(freep) char *name = str_format("%s" TMP_INFIX "%08x", path, (unsigned) random_u64());
        _cleanup_(closep) int fd = -1;
        struct stat st;

        if (!name)
            return error_set(err, ENOMEM, "file.write", "no memory to write %s", path);
        fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0)
            return error_set(err, errno, "file.write", "cannot create %s: %s", name, strerror(errno));
        if (flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK)
            continue;
        if (fstat(fd, &st) == 0 && st.st_nlink == 0)
            continue;
        *ret = TAKE_PTR(name);
        *ret_fd = TAKE_FD(fd);
        return 0;
    }
    return error_set(err, EBUSY, "file.write", "cannot write %s: its folder is swept all the time", path);
}

int file_write_atomic(const char *path, const void *data, size_t len, mode_t mode, uid_t uid, gid_t gid, Error *err)
{
    _cleanup_(freep) char *folder = parent_of(path);
    _cleanup_(freep) char *temporary = NULL;
    _cleanup_(closep) int fd = -1;
    int r;

    if (!folder)
        return error_set(err, ENOMEM, "file.write", "no memory to write %s", path);
    r = open_temporary(path, &temporary, &fd, err);
    if (r < 0)
        return r;
    r = write_temporary(fd, data, len, mode, uid, gid);
    if (r == 0 && rename(temporary, path) < 0)
        r = -errno;
    if (r < 0) {
        unlink(temporary);
        return error_set(err, r, "file.write", "cannot write %s: %s", path, strerror(-r));
    }
    r = dir_sync(folder);
    if (r < 0)
        return error_set(err, r, "file.write", "cannot sync %s: %s", folder, strerror(-r));
    return 0;
}

int file_writer_open(FileWriter *w, const char *path, Error *err)
{
    *w = (FileWriter) FILE_WRITER_INIT;
    w->path = strdup(path);
    if (!w->path)
        return error_set(err, ENOMEM, "file.write", "no memory to write %s", path);
    return open_temporary(path, &w->temporary, &w->fd, err);
}

int file_writer_keep(FileWriter *w, Error *err)
{
    _cleanup_(freep) char *folder = parent_of(w->path);

    if (!folder)
        return error_set(err, ENOMEM, "file.write", "no memory to write %s", w->path);
    if (fsync(w->fd) < 0 || rename(w->temporary, w->path) < 0)
        return error_set(err, errno, "file.write", "cannot write %s: %s", w->path, strerror(errno));
    w->temporary = (free(w->temporary), NULL);
    int r = dir_sync(folder);
    return r < 0 ? error_set(err, r, "file.write", "cannot sync %s: %s", folder, strerror(-r)) : 0;
}

void file_writer_done(FileWriter *w)
{
    if (w->temporary)
        unlink(w->temporary);
    if (w->fd >= 0)
        close(w->fd);
    free(w->temporary);
    free(w->path);
    *w = (FileWriter) FILE_WRITER_INIT;
}

int dir_make(const char *path, mode_t mode, uid_t uid, gid_t gid, Error *err)
{
    _cleanup_(freep) char *copy = strdup(path);

    if (!copy)
        return error_set(err, ENOMEM, "file.write", "no memory to make %s", path);
    for (char *p = copy + 1; *p; p++) {
        if (*p != '/')
            continue;
        *p = '\0';
        if (mkdir(copy, 0755) < 0 && errno != EEXIST)
            return error_set(err, errno, "file.write", "cannot make the folder %s: %s", copy, strerror(errno));
        *p = '/';
    }
    if (mkdir(copy, mode) < 0 && errno != EEXIST)
        return error_set(err, errno, "file.write", "cannot make the folder %s: %s", copy, strerror(errno));
    if (chmod(copy, mode) < 0 || (uid != (uid_t) -1 && chown(copy, uid, gid) < 0))
        return error_set(err, errno, "file.write", "cannot set owner and mode of %s: %s", copy, strerror(errno));
    return 0;
}

int file_remove(const char *path, Error *err)
{
    _cleanup_(freep) char *folder = parent_of(path);

    if (!folder)
        return -ENOMEM;
    if (unlink(path) < 0)
        return errno == ENOENT ? 0 : error_set(err, errno, "file.write", "cannot remove %s: %s", path, strerror(errno));
    return dir_sync(folder);
}

static int remove_below(int fd, Error *err);

/* A file or a folder. The reason given is that of the first step that failed for good: what `unlink` says of a file,
 * never what became of taking it for a folder. */
static int remove_entry(int parent, const char *name, Error *err)
{
    int child, r;

    if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
        return 0;
    r = -errno;
    child = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (child < 0) {
        if (errno != ENOTDIR && errno != ELOOP)
            r = -errno;
        return r == -ENOENT ? 0 : error_set(err, r, "file.write", "cannot remove %s: %s", name, strerror(-r));
    }
    r = remove_below(child, err);
    if (r < 0)
        return error_prefix(err, r, "in %s", name);
    if (unlinkat(parent, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
        return error_set(err, errno, "file.write", "cannot remove %s: %s", name, strerror(errno));
    return 0;
}

static int remove_below(int fd, Error *err)
{
    DIR *dir = fdopendir(fd);
    int r = 0;

    if (!dir) {
        r = -errno;
        close(fd);
        return error_set(err, r, "file.write", "cannot list a folder: %s", strerror(-r));
    }
    while (r == 0) {
        struct dirent *e;

        errno = 0;
        e = readdir(dir);
        if (!e && errno != 0)
            r = error_set(err, errno, "file.write", "cannot list a folder: %s", strerror(errno));
        if (!e)
            break;
        if (!str_equal(e->d_name, ".") && !str_equal(e->d_name, ".."))
            r = remove_entry(dirfd(dir), e->d_name, err);
    }
    closedir(dir);
    return r;
}

int dir_clear(const char *path, Error *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), r;

    if (fd < 0)
        return errno == ENOENT ? 0 : error_set(err, errno, "file.write", "cannot empty %s: %s", path, strerror(errno));
    r = remove_below(fd, err);
    return r < 0 ? error_prefix(err, r, "emptying %s", path) : 0;
}

int dir_remove(const char *path, Error *err)
{
    int r = dir_clear(path, err);

    if (r < 0)
        return r;
    if (rmdir(path) < 0 && errno != ENOENT)
        return error_set(err, errno, "file.write", "cannot remove %s: %s", path, strerror(errno));
    return 0;
}

/* SPDX-License-Identifier: MIT */
#include "lib/data/release-folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fileio.h"
#include "lib/base/limits.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/data/bundle.h"
#include "lib/data/digest.h"

#define RELEASES "releases"
#define LINK_NAME "current"
/* no version begins with a dot */
#define UNPACKED RELEASES "/.unpacked"
#define ARCHIVE RELEASES "/.archive"

static char *place_of(const char *name)
{
    _cleanup_(freep) char *folder = path_in_root(RELEASE_DIR);

    return folder ? path_join(folder, name) : NULL;
}

static int no_memory(Error *err)
{
    return error_from_errno(err, -ENOMEM, "cannot look after releases");
}

static int write_error(const char *path, int code, Error *err)
{
    return error_set(err, code, "file.write", "%s cannot be changed: %s", path, strerror(code));
}

char *release_target(const char *version)
{
    return str_format(RELEASES "/%s", version);
}

static bool is_target(const char *text)
{
    return str_equal(text, RELEASE_OF_PACKAGE) ||
           (str_starts(text, RELEASES "/") && release_version_is_valid(text + strlen(RELEASES "/")));
}

int release_current(char **ret, Error *err)
{
    _cleanup_(freep) char *path = place_of(LINK_NAME);
    char text[PATH_MAX];

    if (!path)
        return no_memory(err);
    ssize_t n = readlink(path, text, sizeof(text) - 1);
    if (n < 0 && errno != ENOENT)
        return error_set(err, errno, "release.damaged", "%s is no link that can be read: %s", path, strerror(errno));
    text[n > 0 ? n : 0] = '\0';
    if (n >= 0 && !is_target(text))
        return error_set(err, EBADMSG, "release.damaged",
                         "%s leads to %.200s, which is no release: ln -sfn " RELEASE_OF_PACKAGE " %s", path, text,
                         path);
    *ret = strdup(n < 0 ? RELEASE_OF_PACKAGE : text);
    return *ret ? 0 : no_memory(err);
}

static int sync_folder(const char *path, bool whole_disk, Error *err)
{
    _cleanup_(closep) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 || (whole_disk ? syncfs(fd) : fsync(fd)) < 0)
        return write_error(path, errno, err);
    return 0;
}

/* A release that is gone would leave the units without a program. */
int release_check(const char *target, Error *err)
{
    _cleanup_(freep) char *folder = str_starts(target, "/") ? strdup(target) : place_of(target),
                          *program = folder ? path_join(folder, "bin/secbox") : NULL;

    if (!program)
        return no_memory(err);
    if (access(program, X_OK) < 0 && !str_equal(target, RELEASE_OF_PACKAGE))
        return error_set(err, ENOENT, "release.missing", "there is no release at %s", folder);
    return 0;
}

int release_switch(const char *target, Error *err)
{
    _cleanup_(freep) char *folder = path_in_root(RELEASE_DIR), *path = place_of(LINK_NAME),
                          *made = place_of("." LINK_NAME);
    int r = folder && path && made ? release_check(target, err) : no_memory(err);

    if (r >= 0)
        r = file_remove(made, err);
    if (r < 0)
        return r;
    if (symlink(target, made) < 0 || rename(made, path) < 0)
        return write_error(path, errno, err);
    return sync_folder(folder, false, err);
}

/* Regular files below, of which there is nothing else than them and folders: bundle_unpack() makes no others. */
static int count_files(const char *path, size_t *n, Error *err)
{
    DIR *dir = opendir(path);
    const struct dirent *e;
    int r = 0;

    if (!dir)
        return error_set(err, errno, "file.read", "%s cannot be read: %s", path, strerror(errno));
    while (r == 0 && (e = readdir(dir))) {
        _cleanup_(freep) char *below = path_join(path, e->d_name);
        struct stat st;

        if (str_equal(e->d_name, ".") || str_equal(e->d_name, ".."))
            continue;
        if (!below || lstat(below, &st) < 0)
            r = no_memory(err);
        else if (S_ISDIR(st.st_mode))
            r = count_files(below, n, err);
        else
            ++*n;
    }
    closedir(dir);
    return r;
}

static int check_file(const char *folder, const ReleaseFile *f, Error *err)
{
    _cleanup_(freep) char *path = path_join(folder, f->path);
    _cleanup_(closep) int fd = path ? open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC) : -1;
    char hex[SHA256_HEX_SIZE];
    struct stat st;

    if (!path)
        return no_memory(err);
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return error_set(err, EBADMSG, "release.bad-content", "the release lacks its file %s", f->path);
    int r = sha256_hex_fd(fd, -1, RELEASE_CONTENT_MAX, NULL, hex);
    if (r < 0)
        return error_from_errno(err, r, "cannot check a release");
    return str_equal(hex, f->sha256)
               ? 0
               : error_set(err, EBADMSG, "release.bad-content",
                           "%s of the release is not what its " RELEASE_MANIFEST_NAME " says: it is damaged", f->path);
}

static int check_content(const char *folder, const ReleaseManifest *m, Error *err)
{
    size_t n = 0;
    int r = count_files(folder, &n, err);

    for (size_t i = 0; r >= 0 && i < m->n_files; i++)
        r = check_file(folder, &m->files[i], err);
    if (r >= 0 && n != m->n_files + 1)
        r = error_set(err, EBADMSG, "release.bad-content",
                      "the release has files in it that its " RELEASE_MANIFEST_NAME " does not name");
    if (r >= 0 && !str_equal(m->arch, release_arch()))
        r = error_set(err, ENOEXEC, "release.other-machine", "the release is for %.40s, and this machine is of %s",
                      m->arch, release_arch());
    return r;
}

int release_unpack(int fd, ReleaseManifest *ret, Error *err)
{
    _cleanup_(release_manifest_done) ReleaseManifest m = {};
    _cleanup_(freep) char *folder = place_of(UNPACKED), *text = NULL,
                          *path = folder ? path_join(folder, RELEASE_MANIFEST_NAME) : NULL;
    size_t text_len = 0;
    int r = path ? dir_remove(folder, err) : no_memory(err);

    if (r >= 0)
        r = dir_make(folder, 0755, (uid_t) -1, (gid_t) -1, err);
    if (r >= 0)
        r = bundle_unpack_fd(fd, RELEASE_CONTENT_MAX, folder, err);
    if (r < 0)
        return r;
    r = file_read(path, RELEASE_MANIFEST_MAX, &text, &text_len, NULL);
    if (r < 0)
        return error_set(err, EBADMSG, "release.bad-manifest",
                         "the archive has no " RELEASE_MANIFEST_NAME
                         " in it: it is no release, `make release` makes one");
    r = release_manifest_parse(text, text_len, &m, err);
    if (r >= 0)
        r = check_content(folder, &m, err);
    if (r < 0)
        return r;
    *ret = m;
    m = (ReleaseManifest) {};
    return 0;
}

int release_archive_open(Error *err)
{
    _cleanup_(freep) char *folder = place_of(RELEASES), *path = place_of(ARCHIVE);
    int r = folder && path ? dir_make(folder, 0755, (uid_t) -1, (gid_t) -1, err) : no_memory(err);

    if (r >= 0)
        r = file_remove(path, err); /* who was killed below has left it */
    if (r < 0)
        return r;
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0 || unlink(path) < 0) {
        r = write_error(path, errno, err);
        if (fd >= 0)
            close(fd);
        return r;
    }
    return fd;
}

int release_place(const char *version, Error *err)
{
    _cleanup_(freep) char *from = place_of(UNPACKED), *folder = place_of(RELEASES),
                          *to = folder ? path_join(folder, version) : NULL;
    int r = from && to ? sync_folder(from, true, err) : no_memory(err);

    if (r >= 0)
        r = dir_remove(to, err);
    if (r >= 0 && rename(from, to) < 0)
        r = write_error(to, errno, err);
    return r < 0 ? r : sync_folder(folder, false, err);
}

static bool is_kept(const char *name, const char *target)
{
    return target && str_starts(target, RELEASES "/") && str_equal(target + strlen(RELEASES "/"), name);
}

int release_sweep(const char *current, const char *before, Error *err)
{
    _cleanup_(freep) char *folder = place_of(RELEASES);
    DIR *dir = folder ? opendir(folder) : NULL;
    const struct dirent *e;
    int r = 0;

    if (!dir)
        return folder && errno == ENOENT ? 0 : error_from_errno(err, -errno, "cannot look for old releases");
    while (r >= 0 && (e = readdir(dir))) {
        _cleanup_(freep) char *path = path_join(folder, e->d_name);

        if (str_equal(e->d_name, ".") || str_equal(e->d_name, "..") || is_kept(e->d_name, current) ||
            is_kept(e->d_name, before))
            continue;
        r = path ? dir_remove(path, err) : no_memory(err);
    }
    closedir(dir);
    return r;
}

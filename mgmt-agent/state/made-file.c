/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/state/made-file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/encode.h"
#include "lib/base/fileio.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/data/digest.h"
#include "mgmt-agent/state/bundle-store-impl.h"

#define KEY_SIZE 32
#define KEY_PATH AGENT_STATE_DIR "/files.key"
#define PLACE_DIGITS 32
#define OPEN_MODE 0444

MadeFile *made_file_free(MadeFile *f)
{
    if (!f)
        return NULL;
    free(f->service);
    free(f->name);
    if (f->content)
        explicit_bzero(f->content, f->len);
    free(f->content);
    free(f);
    return NULL;
}

/* Without the old key the same files get other names: containers that mount them are made anew once, and nothing is lost. */
static int load_key(uint8_t ret[static KEY_SIZE], Error *err)
{
    _cleanup_(freep) char *path = path_in_root(KEY_PATH);
    _cleanup_(secret_freep) char *text = NULL;
    _cleanup_(error_done) Error why = {};
    size_t len = 0;
    int r = path ? file_read_secret(path, KEY_SIZE, geteuid(), &text, &len, &why) : -ENOMEM;

    if (r == 0 && len == KEY_SIZE) {
        memcpy(ret, text, KEY_SIZE);
        return 0;
    }
    if (r < 0 && r != -ENOENT && r != -EFBIG) {
        (void) error_copy(err, &why);
        return r;
    }
    random_bytes(ret, KEY_SIZE);
    return file_write_atomic(path, ret, KEY_SIZE, 0600, (uid_t) -1, (gid_t) -1, err);
}

/* No two files have the same description: every part but the last ends with a byte that it cannot hold. */
static int describe(const MadeFile *f, Buf *out)
{
    int r =
        buf_printf(out, "%s/%s/%s/%lld/%lld/%lld/", f->is_secret ? "secret" : "config", f->service ? f->service : "",
                   f->name, (long long) f->uid, (long long) f->gid, (long long) f->mode);

    return r < 0 || f->len == 0 ? r : buf_append(out, f->content, f->len);
}

int made_file_path(const MadeFile *f, char **ret, Error *err)
{
    _cleanup_(freep) char *files = path_in_root(FILES_DIR), *hex = NULL;
    Buf text = BUF_INIT(MADE_FILE_MAX + 4096);
    uint8_t key[KEY_SIZE], digest[SHA256_SIZE];
    int r = files ? load_key(key, err) : -ENOMEM;

    if (r == 0)
        r = describe(f, &text);
    if (r == 0)
        r = hmac_sha256(key, sizeof(key), text.data, text.len, digest);
    if (text.data)
        explicit_bzero(text.data, text.len);
    buf_done(&text);
    explicit_bzero(key, sizeof(key));
    if (r < 0)
        return r;
    hex = hex_encode(digest, sizeof(digest));
    *ret = hex ? str_format("%s/%.*s/%s", files, PLACE_DIGITS, hex, f->name) : NULL;
    return *ret ? 0 : -ENOMEM;
}

static int write_error(const char *path, int code, Error *err)
{
    return error_set(err, code, "file.write", "%s cannot be written: %s", path, strerror(code));
}

/* 1: it is there. */
static int keep(const MadeFile *f, const char *path, mode_t mode, uid_t uid, Error *err)
{
    _cleanup_(closep) int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || (size_t) st.st_size != f->len)
        return 0;
    if (st.st_uid == uid || (st.st_mode & OPEN_MODE) == OPEN_MODE)
        mode |= st.st_mode & 0777;
    else
        mode |= OPEN_MODE;
    if ((st.st_mode & 0777) != mode && fchmod(fd, mode) < 0)
        return write_error(path, errno, err);
    return 1;
}

static int write_below(const MadeFile *f, const char *path, const char *files, mode_t mode, uid_t uid, gid_t gid,
                       Error *err)
{
    _cleanup_(freep) char *folder = strndup(path, (size_t) (strrchr(path, '/') - path));
    _cleanup_(closep) int dir = open(files, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r = folder ? dir_make(folder, 0755, geteuid() == 0 ? 0 : (uid_t) -1, 0, err) : -ENOMEM;

    if (r == 0)
        r = keep(f, path, mode, uid, err);
    if (r == 0)
        r = file_write_atomic(path, f->content, f->len, mode, uid, gid, err);
    if (r >= 0 && (dir < 0 || fsync(dir) < 0)) /* containers start again by themselves after a power cut */
        r = write_error(path, errno, err);
    return r < 0 ? r : 0;
}

int made_file_write(const MadeFile *f, const char *path, mode_t mode, uid_t uid, gid_t gid, gid_t files_gid, Error *err)
{
    _cleanup_(freep) char *files = path_in_root(FILES_DIR);
    _cleanup_(closep) int lock = -1;
    bool is_root = geteuid() == 0;
    int r = files ? bundle_store_lock(LOCK_SH, &lock, err) : -ENOMEM; /* a sweep that has begun ends first */

    if (r == 0)
        r = dir_make(files, 0750, is_root ? 0 : (uid_t) -1, files_gid, err);
    return r < 0 ? r : write_below(f, path, files, mode, is_root ? uid : geteuid(), is_root ? gid : getegid(), err);
}

int made_file_place(const char *path, char **ret)
{
    _cleanup_(freep) char *files = path_in_root(FILES_DIR);
    size_t len = files ? strlen(files) : 0;

    *ret = NULL;
    if (!files)
        return -ENOMEM;
    if (!path || strncmp(path, files, len) != 0 || path[len] != '/')
        return 0;
    *ret = strndup(path + len + 1, strcspn(path + len + 1, "/"));
    return *ret ? 0 : -ENOMEM;
}

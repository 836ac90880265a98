/* SPDX-License-Identifier: MIT */
/* See recording.h. */
#include "session-recorder/recording.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "lib/base/encode.h"
#include "lib/base/fileio.h"
#include "lib/base/strv.h"

#define CHUNK (32 * 1024) /* sealed at once */
#define OUT_MAX (SESSION_RECORD_MAX * 2)
#define PIECE 8192 /* of output in one event: six times as long when all of it is written as \u0000 */
#define KEPT_MAX 1024
#define NONCE_SIZE 8

typedef struct Kept {
    char name[NAME_MAX + 1];
    uint64_t size;
    time_t changed;
} Kept;

/* The file goes on being what it is: cut off, which whoever opens it sees. */
static int give_up(Recording *r, int code, const char *what, Error *err)
{
    recording_done(r);
    return error_set(err, -code, "session.cannot-record", "%s: %s", what, strerror(-code));
}

static int by_age(const void *a, const void *b)
{
    const Kept *x = a, *y = b;

    return x->changed < y->changed ? -1 : x->changed > y->changed;
}

static bool is_recording(const char *name)
{
    const char *dot = strrchr(name, '.');

    return dot && str_equal(dot, RECORDING_SUFFIX);
}

static size_t list_kept(int folder, Kept *kept)
{
    DIR *dir = fdopendir(openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    const struct dirent *e;
    struct stat st;
    size_t n = 0;

    while (dir && n < KEPT_MAX && (e = readdir(dir))) {
        if (!is_recording(e->d_name) || fstatat(folder, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
            !S_ISREG(st.st_mode))
            continue;
        kept[n] = (Kept) { .size = (uint64_t) st.st_size, .changed = st.st_mtime };
        (void) snprintf(kept[n++].name, sizeof(kept->name), "%s", e->d_name);
    }
    if (dir)
        closedir(dir);
    return n;
}

/* Not one that is still written. */
static bool remove_kept(int folder, const char *name)
{
    _cleanup_(closep) int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);

    return fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 && unlinkat(folder, name, 0) == 0;
}

static void sweep(int folder)
{
    _cleanup_(freep) Kept *kept = calloc(KEPT_MAX, sizeof(*kept));
    const time_t oldest = (time_t) ((realtime_usec() - RECORDINGS_AGE) / USEC_PER_SEC);
    uint64_t sum = 0;
    size_t n = kept ? list_kept(folder, kept) : 0;

    for (size_t i = 0; i < n; i++)
        sum += kept[i].size;
    if (n > 0)
        qsort(kept, n, sizeof(*kept), by_age);
    for (size_t i = 0; i < n; i++)
        if ((kept[i].changed < oldest || sum + RECORDING_MAX > RECORDINGS_MAX || n - i >= KEPT_MAX) &&
            remove_kept(folder, kept[i].name))
            sum -= kept[i].size;
}

/* What is there must be root's alone, or somebody else chooses where we write. */
static int open_folder(const char *path, int *ret, Error *err)
{
    _cleanup_(closep) int fd = -1;
    struct stat st;
    int r = dir_make(path, 0700, (uid_t) -1, (gid_t) -1, err);

    if (r < 0)
        return r;
    fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    if (st.st_uid != geteuid() || st.st_mode & 077)
        return error_set(err, EPERM, "session.cannot-record", "%s is not this account's alone: remove it", path);
    *ret = TAKE_FD(fd);
    return 0;
}

static int open_file(Recording *r, int folder, const RecordingOptions *o)
{
    uint8_t random[NONCE_SIZE];

    random_bytes(random, sizeof(random));
    _cleanup_(freep) char *hex = hex_encode(random, sizeof(random));
    _cleanup_(freep) char *name = hex ? str_format("%s-%s-%s" RECORDING_SUFFIX, o->grant, o->serial, hex) : NULL;
    if (!name)
        return -ENOMEM;
    r->fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (r->fd < 0 || flock(r->fd, LOCK_EX | LOCK_NB) < 0 || fsync(folder) < 0)
        return -errno;
    return 0;
}

static int write_out(Recording *r, const Buf *out, Error *err)
{
    struct statvfs vfs;

    if (r->written + out->len > RECORDING_MAX)
        return give_up(r, -EFBIG, "it is longer than a recording may be", err);
    if (fstatvfs(r->fd, &vfs) < 0)
        return give_up(r, -errno, "the disk does not answer", err);
    if ((uint64_t) vfs.f_bavail * vfs.f_frsize < RECORDING_DISK_LEFT + out->len)
        return give_up(r, -ENOSPC, "the disk is too full", err);
    int e = fd_write_all(r->fd, out->data, out->len);
    if (e < 0)
        return give_up(r, e, "it cannot be written", err);
    r->written += out->len;
    return 0;
}

static int seal_text(Recording *r, bool last, Error *err)
{
    _cleanup_(buf_done) Buf out = BUF_INIT(OUT_MAX);
    int e = session_seal_add(&r->seal, r->text.data ? r->text.data : "", r->text.len, last, &out);

    if (e < 0)
        return give_up(r, e, "it cannot be sealed", err);
    if (r->text.data)
        explicit_bzero(r->text.data, r->text.len);
    buf_clear(&r->text);
    return write_out(r, &out, err);
}

int recording_begin(const RecordingOptions *o, Recording *ret, Error *err)
{
    _cleanup_(closep) int folder = -1;
    _cleanup_(buf_done) Buf out = BUF_INIT(OUT_MAX);
    _cleanup_(error_done) Error why = {};
    _cleanup_(freep) char *label = str_format("%s/%s", o->grant, o->serial);

    *ret = (Recording) { .fd = -1, .text = BUF_INIT(SESSION_RECORD_MAX), .began = boottime_usec() };
    int r = label ? open_folder(o->folder, &folder, &why) : -ENOMEM;
    if (r >= 0) {
        sweep(folder);
        r = open_file(ret, folder, o);
    }
    if (r >= 0)
        r = session_seal_begin(&ret->seal, o->auditor, label, &out);
    if (r >= 0)
        r = cast_head(&o->head, &ret->text);
    if (r < 0) {
        recording_done(ret);
        return error_set(err, -r, "session.cannot-record", "%s: %s", o->folder, error_message(&why, r));
    }
    r = write_out(ret, &out, err);
    return r < 0 ? r : seal_text(ret, false, err);
}

static int added(Recording *r, int e, Error *err)
{
    if (e < 0)
        return give_up(r, e, "there is no memory for it", err);
    if (r->text_began == 0)
        r->text_began = boottime_usec();
    if (r->text.len < CHUNK)
        return 0;
    return recording_flush(r, err);
}

int recording_output(Recording *r, unsigned stream, const void *data, size_t len, Error *err)
{
    int e = 0;

    for (size_t at = 0; at < len && e >= 0 && r->fd >= 0; at += PIECE) {
        const size_t n = len - at < PIECE ? len - at : PIECE;
        e = cast_output(&r->streams[stream], boottime_usec() - r->began, (const char *) data + at, n, &r->text);
        e = added(r, e, err);
    }
    return e;
}

int recording_resize(Recording *r, unsigned width, unsigned height, Error *err)
{
    return r->fd < 0 ? 0 : added(r, cast_resize(boottime_usec() - r->began, width, height, &r->text), err);
}

int recording_marker(Recording *r, const char *text, Error *err)
{
    return r->fd < 0 ? 0 : added(r, cast_marker(boottime_usec() - r->began, text, &r->text), err);
}

usec_t recording_wait(const Recording *r)
{
    if (r->fd < 0 || r->text_began == 0)
        return USEC_INFINITY;
    const usec_t now = boottime_usec(), due = r->text_began + RECORDING_FLUSH_TIME;
    return due > now ? due - now : 0;
}

int recording_flush(Recording *r, Error *err)
{
    r->text_began = 0;
    return r->fd < 0 || r->text.len == 0 ? 0 : seal_text(r, false, err);
}

int recording_end(Recording *r, const char *how, Error *err)
{
    int e = recording_marker(r, how, err);

    if (e < 0 || r->fd < 0)
        return e;
    e = seal_text(r, true, err);
    if (e >= 0 && fsync(r->fd) < 0)
        e = give_up(r, -errno, "it cannot be written", err);
    recording_done(r);
    return e;
}

void recording_done(Recording *r)
{
    if (r->fd >= 0)
        close(r->fd);
    r->fd = -1;
    session_seal_done(&r->seal);
    if (r->text.data)
        explicit_bzero(r->text.data, r->text.cap);
    buf_done(&r->text);
}

/* SPDX-License-Identifier: MIT */
/* Preloaded into user-mode Linux by disk_log.py: appends to SECBOX_DISK_LOG what it does to the file SECBOX_DISK, in its order:
 * writes with their data, zeroed ranges, and the flushes of the disk's cache. A file that the guest renames below SECBOX_DISK_NOTES
 * (of the host, by hostfs) is appended as well: what the guest knew when it came to that point. As dm-log-writes does it.
 *
 * The thread of the kernel that writes to the disk has a stack of one page and shares everything with the others: so there are no
 * large buffers on the stack, and no calls of libc that keep something for a thread. */

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { RECORD_WRITE = 1, RECORD_FLUSH, RECORD_ZERO, RECORD_NOTE };

/* disk_log.py has the same. `len` bytes of data follow, of a write or a note. */
typedef struct Record {
    uint64_t kind, offset, len;
} Record;

static int log_fd = -1;
static dev_t disk_dev;
static ino_t disk_ino;
static const char *notes;
static char note[1 << 20]; /* only the kernel's own thread renames */

static ssize_t (*real_pwrite)(int, const void *, size_t, off64_t);
static int (*real_fdatasync)(int), (*real_fsync)(int), (*real_fallocate)(int, int, off64_t, off64_t);
static int (*real_rename)(const char *, const char *);

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("SECBOX_DISK_LOG"), *disk = getenv("SECBOX_DISK");
    struct stat st;

    *(void **) &real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
    *(void **) &real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    *(void **) &real_fsync = dlsym(RTLD_NEXT, "fsync");
    *(void **) &real_fallocate = dlsym(RTLD_NEXT, "fallocate64");
    *(void **) &real_rename = dlsym(RTLD_NEXT, "rename");
    notes = getenv("SECBOX_DISK_NOTES");
    if (!path || !disk || !notes || stat(disk, &st) < 0)
        return;
    disk_dev = st.st_dev;
    disk_ino = st.st_ino;
    log_fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
}

static int is_disk(int fd)
{
    struct stat st;
    int saved = errno;

    if (log_fd < 0 || syscall(SYS_fstat, fd, &st) < 0) {
        errno = saved;
        return 0;
    }
    return st.st_dev == disk_dev && st.st_ino == disk_ino;
}

static void append(uint64_t kind, uint64_t offset, uint64_t len, const void *data)
{
    Record r = { kind, offset, len };
    struct iovec parts[2] = { { &r, sizeof(r) }, { (void *) (uintptr_t) data, data ? len : 0 } };
    ssize_t want = (ssize_t) (sizeof(r) + (data ? len : 0));

    if (syscall(SYS_writev, log_fd, parts, 2) != want)
        _exit(99); /* a log with a hole proves nothing */
}

ssize_t pwrite64(int fd, const void *data, size_t len, off64_t offset)
{
    ssize_t n = real_pwrite(fd, data, len, offset);

    if (n > 0 && is_disk(fd))
        append(RECORD_WRITE, (uint64_t) offset, (uint64_t) n, data);
    return n;
}

int fdatasync(int fd)
{
    if (is_disk(fd)) {
        append(RECORD_FLUSH, 0, 0, NULL);
        return 0; /* the log is what counts */
    }
    return real_fdatasync(fd);
}

int fsync(int fd)
{
    if (is_disk(fd)) {
        append(RECORD_FLUSH, 0, 0, NULL);
        return 0;
    }
    return real_fsync(fd);
}

int fallocate64(int fd, int mode, off64_t offset, off64_t len)
{
    int r = real_fallocate(fd, mode, offset, len);

    if (r == 0 && is_disk(fd))
        append(RECORD_ZERO, (uint64_t) offset, (uint64_t) len, NULL);
    return r;
}

int rename(const char *from, const char *to)
{
    int r = real_rename(from, to), fd;
    const char *name = strrchr(to, '/');
    size_t len = name ? strlen(name + 1) + 1 : 0;
    ssize_t n;

    if (r < 0 || log_fd < 0 || !name || len > 64 || !strstr(to, notes))
        return r;
    memcpy(note, name + 1, len);
    fd = (int) syscall(SYS_openat, AT_FDCWD, to, O_RDONLY | O_CLOEXEC);
    n = fd < 0 ? -1 : syscall(SYS_read, fd, note + len, sizeof(note) - len);
    if (n < 0 || (size_t) n == sizeof(note) - len)
        _exit(98);
    syscall(SYS_close, fd);
    append(RECORD_NOTE, 0, len + (size_t) n, note);
    return r;
}

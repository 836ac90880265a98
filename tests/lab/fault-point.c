/* SPDX-License-Identifier: MIT */
/* Preloaded into mgmt-agent and its workers, into secboxctl, or into a script of ours and all that it starts, by fault_point.py.
 * Counts the calls that change what a box keeps below SECBOX_FAULT_ROOT (write, fsync, fdatasync, rename, renameat2, unlink,
 * unlinkat, mkdir, ftruncate, open and openat that make a file; not those that only change rights or owners), in all its processes
 * together, and at one of them does what the control file says: the call fails, or the processes are killed, or the power is cut,
 * which loses what that process has not synced. memory-point.c is for their allocations. */

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/lab/fault-control.h"

#define SHORT (-1)
#define PENDING_MAX 64

/* What a power cut would undo: a name that was given or taken, until its folder is synced; data, until the file is. */
typedef struct Name {
    char path[PATH_MAX], shadow[PATH_MAX]; /* shadow: what had the name before; empty: nothing did */
} Name;

static Name names[PENDING_MAX];
static size_t n_names;
static char dirty[PENDING_MAX][PATH_MAX];
static size_t n_dirty;

/* Whether it is state of the box, and not podman's or a log. */
static bool is_state(const char *path)
{
    static const char *const folders[] = { "/etc/", "/var/", "/run/" };
    const char *root = getenv("SECBOX_FAULT_ROOT");
    size_t len = root ? strlen(root) : 0;

    if (!root || !control() || control()->mode == MODE_OFF || !is_program_of_ours() || strncmp(path, root, len) != 0)
        return false;
    for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++)
        if (strncmp(path + len, folders[i], strlen(folders[i])) == 0)
            return true;
    return false;
}

static bool path_of(int fd, char path[static PATH_MAX])
{
    char link[64];
    ssize_t n;

    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    n = readlink(link, path, PATH_MAX - 1);
    path[n > 0 ? n : 0] = '\0';
    return n > 0;
}

static void kill_all(void)
{
    const char *outside = getenv("SECBOX_FAULT_NAMESPACE");
    char path[64], name[32] = "", namespace[64] = "";
    int fd;

    /* never where it could be the whole machine */
    if (outside && readlink("/proc/self/ns/pid", namespace, sizeof(namespace) - 1) > 0 &&
        strcmp(outside, namespace) != 0)
        kill(-1, SIGKILL);
    snprintf(path, sizeof(path), "/proc/%d/comm", (int) getppid());
    fd = (int) syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && read(fd, name, sizeof(name) - 1) > 0 && strcmp(name, "mgmt-agent\n") == 0)
        kill(getppid(), SIGKILL);
    kill(getpid(), SIGKILL);
}

static void cut_power(uint64_t mode)
{
    if (mode == MODE_POWER_DATA)
        for (size_t i = 0; i < n_dirty; i++)
            (void) syscall(SYS_truncate, dirty[i], 0L);
    for (size_t i = n_names; mode == MODE_POWER_NAMES && i-- > 0;) {
        if (names[i].shadow[0])
            (void) syscall(SYS_rename, names[i].shadow, names[i].path);
        else
            (void) syscall(SYS_unlink, names[i].path);
    }
    kill_all();
}

/* The error that the call is to fail with, or 0, or SHORT. `room`: it may need room on the disk; `divides`: it writes more than one
 * byte. */
static int fault(const char *call, const char *path, bool room, bool divides)
{
    Control *c = control();
    uint64_t mode = c->mode, number;

    if (mode >= MODE_COUNT_MEMORY)
        return 0;
    number = atomic_fetch_add(&c->count, 1) + 1;

    /* what needs no room has it, and only what writes more than a byte can do so by half: then it is the next one */
    if (mode == MODE_COUNT || (mode == MODE_ENOSPC  ? number < c->target || !room
                               : mode == MODE_SHORT ? number < c->target || !divides
                                                    : number != c->target))
        return 0;
    if (atomic_exchange(&c->fired, 1))
        return 0;
    snprintf(c->where, sizeof(c->where), "%s %s", call, path);
    if (mode == MODE_SHORT)
        return SHORT;
    if (mode == MODE_EIO || mode == MODE_ENOSPC)
        return mode == MODE_EIO ? EIO : ENOSPC;
    if (mode == MODE_KILL)
        kill(getpid(), SIGKILL);
    if (mode == MODE_CRASH)
        kill_all();
    cut_power(mode);
    return 0;
}

static bool is_power(void)
{
    return control()->mode == MODE_POWER_DATA || control()->mode == MODE_POWER_NAMES;
}

static void note_dirty(const char *path)
{
    for (size_t i = 0; i < n_dirty; i++)
        if (strcmp(dirty[i], path) == 0)
            return;
    if (is_power() && n_dirty < PENDING_MAX)
        snprintf(dirty[n_dirty++], PATH_MAX, "%s", path);
}

/* Before the name is given to something else, or removed. */
static void note_name(const char *path)
{
    const char *folder = getenv("SECBOX_FAULT_SHADOW");
    static unsigned made;
    Name *n = &names[n_names];

    if (!is_power() || !folder || n_names == PENDING_MAX)
        return;
    snprintf(n->path, sizeof(n->path), "%s", path);
    snprintf(n->shadow, sizeof(n->shadow), "%s/%d-%u", folder, (int) getpid(), made++);
    if (syscall(SYS_link, path, n->shadow) < 0)
        n->shadow[0] = '\0';
    n_names++;
}

static void forget_last_name(void)
{
    if (n_names > 0 && names[--n_names].shadow[0])
        (void) syscall(SYS_unlink, names[n_names].shadow);
}

static void note_synced(const char *path)
{
    size_t kept = 0, len = strlen(path);
    const char *lazy = control()->lazy;

    if (!is_power() || (lazy[0] && strstr(path, lazy)))
        return;
    for (size_t i = 0; i < n_dirty; i++)
        if (strcmp(dirty[i], path) == 0)
            memmove(dirty[i], dirty[--n_dirty], PATH_MAX);
    for (size_t i = 0; i < n_names; i++) {
        bool inside = strncmp(names[i].path, path, len) == 0 && names[i].path[len] == '/' &&
                      !strchr(names[i].path + len + 1, '/');

        if (inside && names[i].shadow[0])
            (void) syscall(SYS_unlink, names[i].shadow);
        if (!inside && kept++ != i)
            names[kept - 1] = names[i];
    }
    n_names = kept;
}

static void note_renamed(const char *from, const char *to)
{
    for (size_t i = 0; i < n_dirty; i++)
        if (strcmp(dirty[i], from) == 0)
            snprintf(dirty[i], PATH_MAX, "%s", to);
}

#define REAL(name)                                                                                                     \
    static __typeof__(&name) real;                                                                                     \
    if (!real)                                                                                                         \
    *(void **) &real = dlsym(RTLD_NEXT, #name)

/* Takes what a call comes to when it is to fail. */
#define FAIL_IF(call, path, room)                                                                                      \
    do {                                                                                                               \
        int error = fault(call, path, room, false);                                                                    \
        if (error) {                                                                                                   \
            errno = error;                                                                                             \
            return -1;                                                                                                 \
        }                                                                                                              \
    } while (0)

static bool begin(int fd, char path[static PATH_MAX])
{
    int saved = errno;
    bool ours = control() && path_of(fd, path) && is_state(path);

    errno = saved;
    return ours;
}

ssize_t write(int fd, const void *data, size_t len)
{
    char path[PATH_MAX];
    REAL(write);

    if (begin(fd, path)) {
        int error = fault("write", path, true, len > 1);
        if (error > 0) {
            errno = error;
            return -1;
        }
        len = error == SHORT ? 1 : len;
        note_dirty(path);
    }
    return real(fd, data, len);
}

int fsync(int fd)
{
    char path[PATH_MAX];
    bool ours = begin(fd, path);
    int r;
    REAL(fsync);

    if (ours)
        FAIL_IF("fsync", path, true);
    r = real(fd);
    if (ours && r == 0)
        note_synced(path);
    return r;
}

int fdatasync(int fd)
{
    char path[PATH_MAX];
    bool ours = begin(fd, path);
    int r;
    REAL(fdatasync);

    if (ours)
        FAIL_IF("fdatasync", path, true);
    r = real(fd);
    if (ours && r == 0)
        note_synced(path);
    return r;
}

int rename(const char *from, const char *to)
{
    bool ours = is_state(to);
    int r;
    REAL(rename);

    if (!ours)
        return real(from, to);
    FAIL_IF("rename", to, true);
    note_name(to);
    r = real(from, to);
    if (r < 0)
        forget_last_name();
    else
        note_renamed(from, to);
    return r;
}

/* what mv(1) calls */
int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags)
{
    REAL(renameat2);

    if (to_folder == AT_FDCWD && is_state(to))
        FAIL_IF("renameat2", to, true);
    return real(from_folder, from, to_folder, to, flags);
}

int unlink(const char *path)
{
    bool ours = is_state(path);
    int r;
    REAL(unlink);

    if (!ours)
        return real(path);
    FAIL_IF("unlink", path, false);
    note_name(path);
    r = real(path);
    if (r < 0)
        forget_last_name();
    return r;
}

int unlinkat(int folder, const char *name, int flags)
{
    char path[PATH_MAX];
    REAL(unlinkat);

    if (begin(folder, path))
        FAIL_IF("unlinkat", path, false);
    return real(folder, name, flags);
}

int mkdir(const char *path, mode_t mode)
{
    REAL(mkdir);

    if (is_state(path))
        FAIL_IF("mkdir", path, true);
    return real(path, mode);
}

int ftruncate(int fd, off_t len)
{
    char path[PATH_MAX];
    REAL(ftruncate);

    if (begin(fd, path))
        FAIL_IF("ftruncate", path, true);
    return real(fd, len);
}

static int open_as(const char *name, const char *path, int flags, mode_t mode)
{
    int (*real)(const char *, int, ...);

    *(void **) &real = dlsym(RTLD_NEXT, name);
    if ((flags & O_CREAT) && is_state(path))
        FAIL_IF("open", path, true);
    return real(path, flags, mode);
}

int open(const char *path, int flags, ...)
{
    va_list ap;
    mode_t mode;

    va_start(ap, flags);
    mode = (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(ap, mode_t) : 0;
    va_end(ap);
    return open_as("open", path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    va_list ap;
    mode_t mode;

    va_start(ap, flags);
    mode = (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(ap, mode_t) : 0;
    va_end(ap);
    return open_as("open64", path, flags, mode);
}

/* what a shell's redirections, touch(1) and cp(1) call; paths that begin elsewhere are none of state */
int openat(int folder, const char *path, int flags, ...)
{
    va_list ap;
    mode_t mode;
    REAL(openat);

    va_start(ap, flags);
    mode = (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(ap, mode_t) : 0;
    va_end(ap);
    if ((flags & O_CREAT) && is_state(path))
        FAIL_IF("openat", path, true);
    return real(folder, path, flags, mode);
}

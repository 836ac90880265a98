/* SPDX-License-Identifier: MIT */
/* The writer's lock tells the living from the dead: it ends with its process, however that ends. */
#include "lib/base/tmp-sweep.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/mem.h"

#define DEPTH_MAX 8
#define SUFFIX_DIGITS 8

static bool is_temporary(const char *name)
{
    size_t len = strlen(name), suffix = strlen(TMP_INFIX) + SUFFIX_DIGITS;

    return len > suffix && memcmp(name + len - suffix, TMP_INFIX, strlen(TMP_INFIX)) == 0 &&
           strspn(name + len - SUFFIX_DIGITS, "0123456789abcdef") == SUFFIX_DIGITS;
}

/* Held while the file is removed: a writer that comes to its lock afterwards sees that the file is gone. */
static bool remove_dead(int dir, const char *name)
{
    _cleanup_(closep) int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat st;

    return fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && flock(fd, LOCK_EX | LOCK_NB) == 0 &&
           unlinkat(dir, name, 0) == 0;
}

static unsigned sweep(int fd, dev_t device, unsigned depth)
{
    struct stat st;
    unsigned n = 0;
    DIR *dir = fstat(fd, &st) == 0 && st.st_dev == device ? fdopendir(fd) : NULL;

    if (!dir) {
        close(fd);
        return 0;
    }
    for (struct dirent *e; (e = readdir(dir));) {
        int child;

        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if (is_temporary(e->d_name) && remove_dead(dirfd(dir), e->d_name)) {
            n++;
            continue;
        }
        if (depth == 0 || (e->d_type != DT_DIR && e->d_type != DT_UNKNOWN))
            continue;
        child = openat(dirfd(dir), e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (child >= 0)
            n += sweep(child, device, depth - 1);
    }
    closedir(dir);
    return n;
}

unsigned tmp_sweep(const char *folder, bool below)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;

    if (fd < 0)
        return 0;
    if (fstat(fd, &st) < 0) {
        close(fd);
        return 0;
    }
    return sweep(fd, st.st_dev, below ? DEPTH_MAX : 0);
}

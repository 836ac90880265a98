/* SPDX-License-Identifier: MIT */
/* What fault-point.c and memory-point.c share: the record that fault_point.py writes and reads, and whose calls count. */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    MODE_OFF,
    MODE_COUNT,
    MODE_EIO,
    MODE_ENOSPC,
    MODE_SHORT,
    MODE_KILL,
    MODE_CRASH,
    MODE_POWER_DATA,
    MODE_POWER_NAMES,
    MODE_COUNT_MEMORY,
    MODE_MEMORY
};

/* fault_point.py has the same. */
typedef struct Control {
    uint64_t mode;
    _Atomic uint64_t count;
    uint64_t target;
    _Atomic uint64_t fired;
    char where[256]; /* which call it was */
    char lazy[256];  /* whose path holds this text is never really synced: a fault of ours, which must be found */
} Control;

static inline Control *control(void)
{
    static Control *mapped;
    const char *path = mapped ? NULL : getenv("SECBOX_FAULT_CONTROL");
    int fd = path ? (int) syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC) : -1;
    void *p;

    if (fd < 0)
        return mapped;
    p = mmap(NULL, sizeof(Control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    mapped = p == MAP_FAILED ? NULL : p;
    return mapped;
}

/* A script of ours is many programs: then all of them count. */
static inline bool is_program_of_ours(void)
{
    return getenv("SECBOX_FAULT_NAMESPACE") || strcmp(program_invocation_short_name, "mgmt-worker") == 0 ||
           strcmp(program_invocation_short_name, "mgmt-agent") == 0 ||
           strcmp(program_invocation_short_name, "secboxctl") == 0;
}

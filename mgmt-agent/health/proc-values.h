/* SPDX-License-Identifier: MIT */
/* What the kernel says in /proc, as numbers. Pure: text in, values out; -EINVAL when the text is not of that kind, and the
 * result is untouched then. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/mem.h"

#define FILESYSTEMS_MAX 8

typedef struct MemoryValues {
    uint64_t total_kib, available_kib, swap_total_kib, swap_free_kib;
} MemoryValues;

/* Percent of the last ten seconds in which some, or all, of those that wanted to run waited. */
typedef struct PressureValues {
    double some10, full10;
} PressureValues;

typedef struct LoadValues {
    double one, five, fifteen;
} LoadValues;

/* Since the boot, of all processors together. */
typedef struct CpuTicks {
    uint64_t busy, total;
    unsigned count; /* processors */
} CpuTicks;

typedef struct Filesystem {
    char *mount, *type, *source;
    unsigned major, minor;
    bool read_only; /* the file system itself, not this mount of it */
} Filesystem;

typedef struct Filesystems {
    Filesystem items[FILESYSTEMS_MAX];
    size_t n;
} Filesystems;

int meminfo_parse(const char *text, MemoryValues *ret) _must_check_;
/* /proc/pressure/cpu, memory or io */
int pressure_parse(const char *text, PressureValues *ret) _must_check_;
int loadavg_parse(const char *text, LoadValues *ret) _must_check_;
/* /proc/stat */
int cpu_ticks_parse(const char *text, CpuTicks *ret) _must_check_;
/* Percent in use between two looks; negative: not known. */
double cpu_percent(const CpuTicks *before, const CpuTicks *now);

/* /proc/PID/mountinfo: the file systems on disks, and the one at /, each once, at its shortest path; at most FILESYSTEMS_MAX.
 * Lines that are not understood are skipped. -ENOMEM. */
int mountinfo_parse(const char *text, Filesystems *ret) _must_check_;
void filesystems_done(Filesystems *f);

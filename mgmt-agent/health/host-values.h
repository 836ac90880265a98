/* SPDX-License-Identifier: MIT */
/* How this machine is: what can be read from the kernel in an instant, without a process, a disk or a network. */
#pragma once

#include "lib/data/json.h"
#include "lib/data/network-values.h"
#include "mgmt-agent/health/proc-values.h"

#define TEMPERATURES_MAX 16

typedef struct DiskValues {
    char *mount, *type;
    bool read_only;
    uint64_t total_kib, free_kib;        /* what is free for users */
    double used_percent, inodes_percent; /* the latter negative where the file system has no such limit */
} DiskValues;

typedef struct Temperature {
    char *name;
    double celsius;
} Temperature;

typedef struct HostValues {
    MemoryValues memory; /* total 0: not known, as of all that follow */
    PressureValues cpu_pressure, memory_pressure, io_pressure;
    bool has_pressure;
    LoadValues load;
    bool has_load;
    CpuTicks cpu;
    DiskValues disks[FILESYSTEMS_MAX];
    size_t n_disks;
    Temperature temperatures[TEMPERATURES_MAX];
    size_t n_temperatures;
    NetworkValues network; /* of this machine's cards */
    bool has_network;
    int clock_synchronised; /* negative: not known */
    bool reboot_required;
} HostValues;

/* What cannot be read stays unknown. `proc`, `sys` and `run` are the folders of these names. */
void host_values_read(const char *proc, const char *sys, const char *run, HostValues *ret);
void host_values_done(HostValues *v);

/* Whether something keeps the kernel's clock right; negative: it cannot be asked, as in a service whose system calls are
 * limited to what it needs. */
int host_clock_is_synchronised(void);

/* Adds "cpu", "load", "memory", "pressure", "disks", "temperatures", "network", "clock", "rebootRequired" as docs/wire-format.md
 * has them. `before` is the look before this one. */
int host_values_describe(const HostValues *v, const CpuTicks *before, cJSON *o) _must_check_;

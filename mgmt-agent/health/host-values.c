/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/health/host-values.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <unistd.h>

#include "lib/base/fileio.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "mgmt-agent/health/values-impl.h"

#define PROC_FILE_MAX (1024 * 1024)
#define SYS_FILE_MAX (64 * 1024) /* a file in /sys says that it is as large as a page */

char *values_read_file(const char *folder, const char *name, size_t max)
{
    _cleanup_(freep) char *path = path_join(folder, name);
    char *text = NULL;

    return path && file_read(path, max, &text, NULL, NULL) == 0 ? text : NULL;
}

static bool read_pressure(const char *proc, const char *name, PressureValues *ret)
{
    _cleanup_(freep) char *text = values_read_file(proc, name, SYS_FILE_MAX);

    return text && pressure_parse(text, ret) == 0;
}

static void read_proc(const char *proc, HostValues *v)
{
    _cleanup_(freep) char *memory = values_read_file(proc, "meminfo", PROC_FILE_MAX),
                          *load = values_read_file(proc, "loadavg", SYS_FILE_MAX),
                          *stat = values_read_file(proc, "stat", PROC_FILE_MAX),
                          /* that of the machine: mgmt-agent has a network of its own, which leads nowhere */
                              *network = values_read_file(proc, "1/net/dev", PROC_FILE_MAX);

    if (memory && meminfo_parse(memory, &v->memory) < 0)
        v->memory = (MemoryValues) {};
    v->has_network = network && network_values_parse(network, true, &v->network) == 0;
    v->has_load = load && loadavg_parse(load, &v->load) == 0;
    if (stat && cpu_ticks_parse(stat, &v->cpu) < 0)
        v->cpu = (CpuTicks) {};
    v->has_pressure = read_pressure(proc, "pressure/cpu", &v->cpu_pressure) &&
                      read_pressure(proc, "pressure/memory", &v->memory_pressure) &&
                      read_pressure(proc, "pressure/io", &v->io_pressure);
}

static double percent(uint64_t part, uint64_t whole)
{
    return whole > 0 ? 100.0 * (double) part / (double) whole : -1;
}

/* As df has it: what root keeps for itself is neither free nor used. */
static bool measure(const Filesystem *f, DiskValues *ret)
{
    struct statvfs s;

    if (statvfs(f->mount, &s) < 0 || s.f_blocks == 0 || s.f_bfree > s.f_blocks)
        return false;
    ret->total_kib = (uint64_t) s.f_blocks * s.f_frsize / 1024;
    ret->free_kib = (uint64_t) s.f_bavail * s.f_frsize / 1024;
    ret->used_percent = percent(s.f_blocks - s.f_bfree, s.f_blocks - s.f_bfree + s.f_bavail);
    ret->inodes_percent = s.f_files >= s.f_ffree ? percent(s.f_files - s.f_ffree, s.f_files) : -1;
    ret->read_only = f->read_only;
    ret->mount = strdup(f->mount);
    ret->type = strdup(f->type);
    return ret->mount && ret->type;
}

static void disk_done(DiskValues *d)
{
    free(d->mount);
    free(d->type);
    *d = (DiskValues) {};
}

static void read_disks(const char *proc, HostValues *v)
{
    _cleanup_(freep) char *text = values_read_file(proc, "self/mountinfo", PROC_FILE_MAX);
    Filesystems found = {};

    if (!text || mountinfo_parse(text, &found) < 0)
        return;
    for (size_t i = 0; i < found.n; i++)
        if (measure(&found.items[i], &v->disks[v->n_disks]))
            v->n_disks++;
        else
            disk_done(&v->disks[v->n_disks]);
    filesystems_done(&found);
}

/* A sensor that is broken or switched off says something absurd, or nothing. */
static bool read_zone(const char *folder, const char *zone, Temperature *ret)
{
    _cleanup_(freep) char *path = path_join(folder, zone);
    _cleanup_(freep) char *value = path ? values_read_file(path, "temp", SYS_FILE_MAX) : NULL,
                          *type = path ? values_read_file(path, "type", SYS_FILE_MAX) : NULL;
    char *end = NULL;
    long milli = value ? strtol(value, &end, 10) : 0;

    if (!value || end == value || !type || milli < -40000 || milli > 200000)
        return false;
    type[strcspn(type, "\n")] = '\0';
    ret->name = str_format("%s %s", zone, type);
    ret->celsius = (double) milli / 1000;
    return ret->name;
}

static void read_temperatures(const char *sys, HostValues *v)
{
    _cleanup_(freep) char *folder = path_join(sys, "class/thermal");
    DIR *dir = folder ? opendir(folder) : NULL;
    const struct dirent *entry;

    while (dir && v->n_temperatures < TEMPERATURES_MAX && (entry = readdir(dir)))
        if (str_starts(entry->d_name, "thermal_zone") &&
            read_zone(folder, entry->d_name, &v->temperatures[v->n_temperatures]))
            v->n_temperatures++;
    if (dir)
        closedir(dir);
}

int host_clock_is_synchronised(void)
{
    struct timex t = {};

    return adjtimex(&t) >= 0 ? !(t.status & STA_UNSYNC) : -errno;
}

void host_values_read(const char *proc, const char *sys, const char *run, HostValues *ret)
{
    _cleanup_(freep) char *reboot = path_join(run, "reboot-required");

    *ret = (HostValues) {};
    read_proc(proc, ret);
    read_disks(proc, ret);
    read_temperatures(sys, ret);
    ret->clock_synchronised = host_clock_is_synchronised();
    ret->reboot_required = reboot && access(reboot, F_OK) == 0;
}

void host_values_done(HostValues *v)
{
    for (size_t i = 0; i < v->n_disks; i++)
        disk_done(&v->disks[i]);
    for (size_t i = 0; i < v->n_temperatures; i++)
        free(v->temperatures[i].name);
    *v = (HostValues) {};
}

/* With one digit behind the point: more would only make differences. */
static int add_number(cJSON *o, const char *key, double n)
{
    return cJSON_AddNumberToObject(o, key, (double) (long long) (n * 10 + (n < 0 ? -0.5 : 0.5)) / 10) ? 0 : -ENOMEM;
}

static int add_mib(cJSON *o, const char *key, uint64_t kib)
{
    return cJSON_AddNumberToObject(o, key, (double) (kib / 1024)) ? 0 : -ENOMEM;
}

/* A new object that is a member of `o`, or NULL. */
static cJSON *add_object(cJSON *o, const char *key)
{
    return cJSON_AddObjectToObject(o, key);
}

static int describe_cpu(const HostValues *v, const CpuTicks *before, cJSON *o)
{
    double used = cpu_percent(before, &v->cpu);
    cJSON *cpu = add_object(o, "cpu");

    if (!cpu || json_add_int(cpu, "count", (int) v->cpu.count) < 0)
        return -ENOMEM;
    return used < 0 ? 0 : add_number(cpu, "percent", used);
}

static int describe_load(const HostValues *v, cJSON *o)
{
    cJSON *load = add_object(o, "load");

    return !load || add_number(load, "1", v->load.one) < 0 || add_number(load, "5", v->load.five) < 0 ||
                   add_number(load, "15", v->load.fifteen) < 0
               ? -ENOMEM
               : 0;
}

static int describe_memory(const HostValues *v, cJSON *o)
{
    cJSON *memory = add_object(o, "memory");

    return !memory || add_mib(memory, "totalMiB", v->memory.total_kib) < 0 ||
                   add_mib(memory, "availableMiB", v->memory.available_kib) < 0 ||
                   add_mib(memory, "swapTotalMiB", v->memory.swap_total_kib) < 0 ||
                   add_mib(memory, "swapFreeMiB", v->memory.swap_free_kib) < 0
               ? -ENOMEM
               : 0;
}

static int describe_pressure(const HostValues *v, cJSON *o)
{
    cJSON *pressure = add_object(o, "pressure");

    return !pressure || add_number(pressure, "cpuSome10", v->cpu_pressure.some10) < 0 ||
                   add_number(pressure, "memorySome10", v->memory_pressure.some10) < 0 ||
                   add_number(pressure, "memoryFull10", v->memory_pressure.full10) < 0 ||
                   add_number(pressure, "ioSome10", v->io_pressure.some10) < 0 ||
                   add_number(pressure, "ioFull10", v->io_pressure.full10) < 0
               ? -ENOMEM
               : 0;
}

static int describe_disk(const DiskValues *d, cJSON *all)
{
    cJSON *disk = add_object(all, d->mount);

    if (!disk || json_add_string(disk, "type", d->type) < 0 || add_mib(disk, "totalMiB", d->total_kib) < 0 ||
        add_mib(disk, "freeMiB", d->free_kib) < 0 || add_number(disk, "usedPercent", d->used_percent) < 0 ||
        json_add_bool(disk, "readOnly", d->read_only) < 0)
        return -ENOMEM;
    return d->inodes_percent < 0 ? 0 : add_number(disk, "inodesPercent", d->inodes_percent);
}

static int describe_disks(const HostValues *v, cJSON *o)
{
    cJSON *all = add_object(o, "disks");

    for (size_t i = 0; all && i < v->n_disks; i++)
        if (describe_disk(&v->disks[i], all) < 0)
            return -ENOMEM;
    return all ? 0 : -ENOMEM;
}

static int describe_temperatures(const HostValues *v, cJSON *o)
{
    cJSON *all = add_object(o, "temperatures");

    for (size_t i = 0; all && i < v->n_temperatures; i++)
        if (add_number(all, v->temperatures[i].name, v->temperatures[i].celsius) < 0)
            return -ENOMEM;
    return all ? 0 : -ENOMEM;
}

static int describe_clock(const HostValues *v, cJSON *o)
{
    cJSON *clock = v->clock_synchronised < 0 ? NULL : add_object(o, "clock");

    if (v->clock_synchronised < 0)
        return 0;
    return clock ? json_add_bool(clock, "synchronised", v->clock_synchronised > 0) : -ENOMEM;
}

int host_values_describe(const HostValues *v, const CpuTicks *before, cJSON *o)
{
    if ((v->cpu.total > 0 && describe_cpu(v, before, o) < 0) || (v->has_load && describe_load(v, o) < 0) ||
        (v->memory.total_kib > 0 && describe_memory(v, o) < 0) || (v->has_pressure && describe_pressure(v, o) < 0) ||
        (v->n_disks > 0 && describe_disks(v, o) < 0) || (v->n_temperatures > 0 && describe_temperatures(v, o) < 0) ||
        (v->has_network && network_values_describe(&v->network, o, "network") < 0) || describe_clock(v, o) < 0)
        return -ENOMEM;
    return v->reboot_required ? json_add_bool(o, "rebootRequired", true) : 0;
}

/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/health/host-faults.h"

#include <errno.h>

#include "lib/base/strv.h"

/* Percent, or degrees: a fault from the first on, none any more behind the second. */
#define DISK_FULL 90, 87
#define MEMORY_TIGHT 95, 92
#define MEMORY_STALLS 20, 10
#define DISK_STALLS 50, 25
#define HOT 90, 85

typedef struct Faults {
    cJSON *now;
    const cJSON *before;
} Faults;

static const cJSON *find(const cJSON *o, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(o, key);
}

static double number(const cJSON *o, const char *key, double fallback)
{
    const cJSON *item = find(o, key);

    return cJSON_IsNumber(item) ? item->valuedouble : fallback;
}

/* Takes the text. */
static int add(Faults *f, const char *key, char *text)
{
    _cleanup_(freep) char *owned = text;

    return owned ? json_add_string(f->now, key, owned) : -ENOMEM;
}

static bool exceeds(const Faults *f, const char *key, double value, double from, double until)
{
    return value >= (find(f->before, key) ? until : from);
}

static int judge_disk(Faults *f, const cJSON *disk)
{
    const char *mount = disk->string, *type = json_string(disk, "type");
    _cleanup_(freep) char *full = str_format("disk.full:%s", mount), *inodes = str_format("disk.inodes:%s", mount),
                          *locked = str_format("disk.read-only:%s", mount);
    double used = number(disk, "usedPercent", 0), files = number(disk, "inodesPercent", 0);
    int r = full && inodes && locked ? 0 : -ENOMEM;

    if (r == 0 && exceeds(f, full, used, DISK_FULL))
        r = add(f, full, str_format("%s is %.0f %% full", mount, used));
    if (r == 0 && exceeds(f, inodes, files, DISK_FULL))
        r = add(f, inodes, str_format("%s has used %.0f %% of its inodes", mount, files));
    /* the partition that firmware reads is often mounted like that, and nothing is written to it */
    if (r == 0 && json_bool(disk, "readOnly", false) && !str_equal(type, "vfat"))
        r = add(f, locked, str_format("%s can only be read: the kernel does so after errors of the disk", mount));
    return r;
}

static int judge_memory(Faults *f, const cJSON *values)
{
    const cJSON *memory = find(values, "memory"), *pressure = find(values, "pressure");
    double total = number(memory, "totalMiB", 0), available = number(memory, "availableMiB", total);
    double used = total > 0 ? 100 * (1 - available / total) : 0;
    double memory_full = number(pressure, "memoryFull10", 0), io_full = number(pressure, "ioFull10", 0);
    int r = 0;

    if (exceeds(f, "memory.low", used, MEMORY_TIGHT))
        r = add(f, "memory.low", str_format("only %.0f of %.0f MiB of memory are available", available, total));
    if (r == 0 && exceeds(f, "memory.stalls", memory_full, MEMORY_STALLS))
        r = add(f, "memory.stalls", str_format("everything waits for memory %.0f %% of the time", memory_full));
    if (r == 0 && exceeds(f, "disk.stalls", io_full, DISK_STALLS))
        r = add(f, "disk.stalls", str_format("everything waits for the disk %.0f %% of the time", io_full));
    return r;
}

static int judge_temperature(Faults *f, const cJSON *item)
{
    _cleanup_(freep) char *key = str_format("temperature.high:%s", item->string);

    if (!key || !cJSON_IsNumber(item))
        return key ? 0 : -ENOMEM;
    return exceeds(f, key, item->valuedouble, HOT)
               ? add(f, key, str_format("%s is at %.0f degrees", item->string, item->valuedouble))
               : 0;
}

static int judge_smart(Faults *f, const cJSON *disk)
{
    _cleanup_(freep) char *key = str_format("smart.failing:%s", disk->string);

    if (!key)
        return -ENOMEM;
    return json_bool(disk, "passed", true) ? 0
                                           : add(f, key, str_format("the disk %s says that it fails", disk->string));
}

static int judge_service(Faults *f, const cJSON *service)
{
    static const char *const troubles[] = { "down", "restarting", "unhealthy" };
    const char *state = json_string(service, "state");

    if (json_bool(service, "forgotten", false)) {
        _cleanup_(freep) char *key = str_format("service.stopped:%s", service->string);

        return key ? add(f, key, str_format("%s was stopped by hand, and nobody has started it again", service->string))
                   : -ENOMEM;
    }

    for (size_t i = 0; i < ELEMENTSOF(troubles); i++)
        if (str_equal(state, troubles[i])) {
            _cleanup_(freep) char *key = str_format("service.%s:%s", state, service->string);

            return key ? add(f, key, str_format("%s is %s", service->string, state)) : -ENOMEM;
        }
    return 0;
}

static int judge_each(Faults *f, const cJSON *all, int (*judge)(Faults *f, const cJSON *item))
{
    const cJSON *item;
    int r = 0;

    cJSON_ArrayForEach(item, all)
        if (r == 0 && item->string)
            r = judge(f, item);
    return r;
}

cJSON *host_faults(const cJSON *values, const cJSON *before)
{
    _cleanup_(cJSON_Deletep) cJSON *now = cJSON_CreateObject();
    Faults f = { now, before };

    if (!now || judge_each(&f, find(values, "disks"), judge_disk) < 0 || judge_memory(&f, values) < 0 ||
        judge_each(&f, find(values, "temperatures"), judge_temperature) < 0 ||
        judge_each(&f, find(values, "smart"), judge_smart) < 0 ||
        judge_each(&f, find(values, "services"), judge_service) < 0)
        return NULL;
    if (!json_bool(find(values, "clock"), "synchronised", true) &&
        add(&f, "clock.unsynchronised", str_format("nothing keeps the clock right")) < 0)
        return NULL;
    return TAKE_PTR(now);
}

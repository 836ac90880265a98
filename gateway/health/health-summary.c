/* SPDX-License-Identifier: MIT */
#include "gateway/health/health-summary.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "lib/base/strv.h"

#define FAULT_NAME_MAX 128

static const cJSON *find(const cJSON *o, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(o, key);
}

/* The number at "a.b"; not a number where there is none. */
static double number_at(const cJSON *values, const char *object, const char *key)
{
    const cJSON *item = find(object ? find(values, object) : values, key);

    return cJSON_IsNumber(item) && isfinite(item->valuedouble) ? item->valuedouble : NAN;
}

/* The worst of all disks, sensors, …; `key` is NULL where the members are numbers themselves. */
static double worst(const cJSON *all, const char *key)
{
    const cJSON *item;
    double most = NAN;

    cJSON_ArrayForEach(item, all) {
        double n = key ? number_at(item, NULL, key) : cJSON_IsNumber(item) ? item->valuedouble : NAN;

        if (isfinite(n) && (isnan(most) || n > most))
            most = n;
    }
    return most;
}

static double disk(const cJSON *values)
{
    return worst(find(values, "disks"), "usedPercent");
}

static double inodes(const cJSON *values)
{
    return worst(find(values, "disks"), "inodesPercent");
}

static double memory(const cJSON *values)
{
    double total = number_at(values, "memory", "totalMiB"), available = number_at(values, "memory", "availableMiB");

    return total > 0 && available >= 0 && available <= total ? floor(1000 * (1 - available / total) + 0.5) / 10 : NAN;
}

static double cpu(const cJSON *values)
{
    return number_at(values, "cpu", "percent");
}

static double load(const cJSON *values)
{
    return number_at(values, "load", "1");
}

static double io_stalls(const cJSON *values)
{
    return number_at(values, "pressure", "ioFull10");
}

static double memory_stalls(const cJSON *values)
{
    return number_at(values, "pressure", "memoryFull10");
}

static double hottest(const cJSON *values)
{
    return worst(find(values, "temperatures"), NULL);
}

/* As podman counts them, of all services together. */
static double restarts(const cJSON *values)
{
    const cJSON *service, *services = find(values, "services");
    double n = cJSON_IsObject(services) ? 0 : NAN;

    cJSON_ArrayForEach(service, services) {
        double more = number_at(service, NULL, "restarts");

        n += isfinite(more) ? more : 0;
    }
    return n;
}

/* One number of all services together: their names are the box's to choose. */
static double most_memory(const cJSON *values)
{
    return worst(find(values, "services"), "memoryMiB");
}

static double busiest(const cJSON *values)
{
    return worst(find(values, "services"), "cpuPercent");
}

static double network_errors(const cJSON *values)
{
    return number_at(values, "network", "errors");
}

static double updates(const cJSON *values)
{
    return number_at(values, NULL, "updatesPending");
}

static double data_age(const cJSON *values)
{
    return number_at(values, "replica", "ageSeconds");
}

static double queue(const cJSON *values)
{
    return number_at(values, "queue", "waiting");
}

static double dead_letters(const cJSON *values)
{
    return number_at(values, "queue", "dead");
}

const SummaryField summary_fields[SUMMARY_FIELDS] = {
    { "diskPercent", "disk_used_ratio", "How full the fullest disk is.", 0.01 },
    { "inodesPercent", "disk_inodes_used_ratio", "How many of its inodes the worst disk has used.", 0.01 },
    { "memoryPercent", "memory_used_ratio", "Memory that is not available.", 0.01 },
    { "cpuPercent", "cpu_busy_ratio", "How busy the processors were.", 0.01 },
    { "load1", "load1", "Load average of one minute.", 1 },
    { "diskStalls", "io_stalled_ratio", "Time in which everything waited for a disk.", 0.01 },
    { "memoryStalls", "memory_stalled_ratio", "Time in which everything waited for memory.", 0.01 },
    { "celsius", "temperature_celsius", "The hottest sensor.", 1 },
    { "restarts", "service_restarts", "Restarts of the present containers by podman.", 1 },
    { "serviceMemoryMiB", "service_memory_bytes", "Memory of the service that has most.", 1048576 },
    { "serviceCpuPercent", "service_cpu_ratio", "How much of a processor the busiest service used.", 0.01 },
    { "networkErrors", "network_errors", "Packets that were damaged or lost since the boot.", 1 },
    { "updatesPending", "updates_pending", "Services with a newer image that is not in place.", 1 },
    { "dataAgeSeconds", "data_age_seconds", "Since when the box has not been sure of its community's data.", 1 },
    { "queueWaiting", "queue_events", "Events that wait to be sent.", 1 },
    { "queueDead", "queue_dead_events", "Events that the gateway has refused.", 1 },
};

static double (*const measures[SUMMARY_FIELDS])(const cJSON *values) = {
    disk,        inodes,  memory,         cpu,     load,     io_stalls, memory_stalls, hottest, restarts,
    most_memory, busiest, network_errors, updates, data_age, queue,     dead_letters,
};

void health_measure(const cJSON *values, double ret[static SUMMARY_FIELDS])
{
    for (size_t i = 0; i < SUMMARY_FIELDS; i++)
        ret[i] = measures[i](values);
}

static int add_faults(cJSON *summary, const cJSON *faults)
{
    cJSON *names = cJSON_AddObjectToObject(summary, "faults");
    const cJSON *fault;
    int n = 0;

    if (!names)
        return -ENOMEM;
    cJSON_ArrayForEach(fault, faults)
        if (cJSON_IsObject(faults) && n < SUMMARY_FAULTS_MAX && strlen(fault->string) <= FAULT_NAME_MAX) {
            if (json_add_bool(names, fault->string, true) < 0)
                return -ENOMEM;
            n++;
        }
    return 0;
}

cJSON *health_summary(const cJSON *values)
{
    _cleanup_(cJSON_Deletep) cJSON *summary = cJSON_CreateObject();
    double numbers[SUMMARY_FIELDS];

    if (!summary || add_faults(summary, find(values, "faults")) < 0)
        return NULL;
    health_measure(values, numbers);
    for (size_t i = 0; i < SUMMARY_FIELDS; i++)
        if (isfinite(numbers[i]) && !cJSON_AddNumberToObject(summary, summary_fields[i].name, numbers[i]))
            return NULL;
    return TAKE_PTR(summary);
}

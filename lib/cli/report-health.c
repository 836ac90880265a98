/* SPDX-License-Identifier: MIT */
#include "lib/cli/report-health.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/base/strv.h"
#include "lib/base/text.h"
#include "lib/cli/report.h"

#define LABEL_WIDTH 16

static const cJSON *find(const cJSON *o, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(o, key);
}

static bool has(const cJSON *o, const char *key)
{
    return cJSON_IsNumber(find(o, key));
}

static double number(const cJSON *o, const char *key)
{
    return has(o, key) ? find(o, key)->valuedouble : 0;
}

/* One line; takes the value. */
static void line(FILE *out, const char *label, char *value)
{
    _cleanup_(freep) char *printable = text_printable(value ? value : "-");

    free(value);
    fprintf(out, "%-*s%s\n", LABEL_WIDTH, label, printable ? printable : "-");
}

/* "512 MiB", "7.7 GiB" */
static char *size_text(double mib)
{
    return mib < 1024 ? str_format("%.0f MiB", mib) : str_format("%.1f GiB", mib / 1024);
}

static void faults_lines(FILE *out, const cJSON *faults)
{
    const cJSON *item;

    if (cJSON_IsObject(faults) && !faults->child)
        line(out, "faults", str_format("none"));
    cJSON_ArrayForEach(item, faults)
        line(out, item == faults->child ? "faults" : "",
             str_format("%s [%s]", cJSON_IsString(item) ? item->valuestring : "-", item->string));
}

static void disk_lines(FILE *out, const cJSON *disks)
{
    const cJSON *disk;

    cJSON_ArrayForEach(disk, disks) {
        _cleanup_(freep) char *free_space = size_text(number(disk, "freeMiB")),
                              *total = size_text(number(disk, "totalMiB"));
        bool locked = json_bool(disk, "readOnly", false);

        line(out, disk == disks->child ? "disk" : "",
             str_format("%s %.0f %% full, %s of %s free%s", disk->string, number(disk, "usedPercent"),
                        free_space ? free_space : "-", total ? total : "-", locked ? ", read-only" : ""));
    }
}

static void memory_line(FILE *out, const cJSON *memory)
{
    _cleanup_(freep) char *available = size_text(number(memory, "availableMiB")),
                          *total = size_text(number(memory, "totalMiB")),
                          *swap = size_text(number(memory, "swapTotalMiB") - number(memory, "swapFreeMiB"));

    if (!cJSON_IsObject(memory))
        return;
    line(out, "memory",
         str_format("%s of %s available, %s of swap in use", available ? available : "-", total ? total : "-",
                    swap ? swap : "-"));
}

static void load_line(FILE *out, const cJSON *values)
{
    const cJSON *load = find(values, "load"), *cpu = find(values, "cpu");
    _cleanup_(freep) char *busy = has(cpu, "percent") ? str_format(", %.0f %% busy", number(cpu, "percent")) : NULL;

    if (cJSON_IsObject(load))
        line(out, "load",
             str_format("%.1f %.1f %.1f on %.0f processors%s", number(load, "1"), number(load, "5"), number(load, "15"),
                        number(cpu, "count"), busy ? busy : ""));
}

static void pressure_line(FILE *out, const cJSON *pressure)
{
    if (cJSON_IsObject(pressure))
        line(out, "waiting",
             str_format("%.0f %% for processors, %.0f %% for memory, %.0f %% for disks", number(pressure, "cpuSome10"),
                        number(pressure, "memorySome10"), number(pressure, "ioSome10")));
}

static void temperature_lines(FILE *out, const cJSON *temperatures)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, temperatures)
        line(out, item == temperatures->child ? "temperature" : "",
             str_format("%s %.0f degrees", item->string, cJSON_IsNumber(item) ? item->valuedouble : 0));
}

static void network_line(FILE *out, const char *label, const cJSON *network)
{
    _cleanup_(freep) char *received = size_text(number(network, "receivedMiB")),
                          *sent = size_text(number(network, "sentMiB"));

    if (cJSON_IsObject(network))
        line(out, label,
             str_format("%s received, %s sent, %.0f packets damaged or lost", received ? received : "-",
                        sent ? sent : "-", number(network, "errors")));
}

/* "web 41 MiB, 3.2 % of a processor"; nothing of services whose use is not known */
static void service_lines(FILE *out, const cJSON *services)
{
    const cJSON *service;
    bool first = true;

    cJSON_ArrayForEach(service, services) {
        _cleanup_(freep) char *memory = size_text(number(service, "memoryMiB")),
                              *cpu = has(service, "cpuPercent")
                                         ? str_format(", %.1f %% of a processor", number(service, "cpuPercent"))
                                         : NULL;

        if (!has(service, "memoryMiB"))
            continue;
        line(out, first ? "containers" : "",
             str_format("%s %s%s", service->string, memory ? memory : "-", cpu ? cpu : ""));
        first = false;
    }
}

static void clock_line(FILE *out, const cJSON *clock)
{
    if (cJSON_IsObject(clock))
        line(out, "clock",
             str_format("%s", json_bool(clock, "synchronised", false) ? "kept right" : "nothing keeps it right"));
}

static void store_line(FILE *out, const cJSON *store)
{
    _cleanup_(freep) char *images = size_text(number(store, "imagesMiB")),
                          *writable = size_text(number(store, "writableMiB")),
                          *volumes = size_text(number(store, "volumesMiB"));

    if (cJSON_IsObject(store))
        line(out, "podman's store",
             str_format("%s images, %s volumes, %s written by containers", images ? images : "-",
                        volumes ? volumes : "-", writable ? writable : "-"));
}

/* "sda well, 34 degrees, 12 % of its life used, 3 reallocated sectors" */
static void smart_lines(FILE *out, const cJSON *smart)
{
    static const struct {
        const char *key, *text;
    } parts[] = {
        { "celsius", "degrees" },
        { "usedPercent", "% of its life used" },
        { "mediaErrors", "errors" },
        { "reallocatedSectors", "reallocated sectors" },
        { "pendingSectors", "pending sectors" },
    };
    const cJSON *disk;

    cJSON_ArrayForEach(disk, smart) {
        char *text = str_format("%s %s", disk->string, json_bool(disk, "passed", true) ? "well" : "FAILS");

        for (size_t i = 0; text && i < ELEMENTSOF(parts); i++) {
            char *longer = has(disk, parts[i].key)
                               ? str_format("%s, %.0f %s", text, number(disk, parts[i].key), parts[i].text)
                               : NULL;

            if (longer) {
                free(text);
                text = longer;
            }
        }
        line(out, disk == smart->child ? "disk health" : "", text);
    }
}

static void updates_line(FILE *out, const cJSON *values)
{
    if (has(values, "updatesPending"))
        line(out, "updates", str_format("%.0f new images wait", number(values, "updatesPending")));
    if (json_bool(values, "rebootRequired", false))
        line(out, "reboot", str_format("needed by an update of the system"));
}

static void booted_line(FILE *out, const cJSON *values)
{
    char *since = report_when(json_string(values, "bootedAt"));

    if (since)
        line(out, "booted", since);
}

static void database_line(FILE *out, const cJSON *database)
{
    const char *state = json_string(database, "state"), *help = json_string(database, "help");

    if (state)
        line(out, "database", str_format("%s", help ? help : state));
}

/* "version 17, 12 s old, 40 bans (2 unconfirmed), in step" */
static void data_line(FILE *out, const cJSON *replica)
{
    _cleanup_(freep) char *version = report_member(replica, "version"),
                          *age = has(replica, "ageSeconds") ? str_format(", %.0f s old", number(replica, "ageSeconds"))
                                                            : NULL,
                          *bans = has(replica, "bans")
                                      ? str_format(", %.0f bans, %.0f of them unconfirmed", number(replica, "bans"),
                                                   number(replica, "unconfirmedBans"))
                                      : NULL;
    const char *sync = json_string(replica, "sync");

    if (cJSON_IsObject(replica))
        line(out, "data",
             str_format("%s%s%s%s, %s", version ? "version " : "none yet", version ? version : "", age ? age : "",
                        bans ? bans : "", sync ? sync : "-"));
}

static void queue_line(FILE *out, const cJSON *queue)
{
    const char *oldest = json_string(queue, "oldestAt");
    _cleanup_(freep) char *since = oldest ? report_when(oldest) : NULL;

    if (cJSON_IsObject(queue))
        line(out, "queue",
             str_format("%.0f events wait%s%s, %.0f were refused", number(queue, "waiting"), since ? " since " : "",
                        since ? since : "", number(queue, "dead")));
}

static void lan_line(FILE *out, const cJSON *lan)
{
    if (cJSON_IsObject(lan))
        line(out, "guards' pages", str_format("%s", json_bool(lan, "serving", false) ? "served" : "NOT served"));
}

static void started_line(FILE *out, const cJSON *values)
{
    _cleanup_(freep) char *since = report_when(json_string(values, "startedAt"));
    const char *version = json_string(values, "version");

    if (since)
        line(out, "runs", str_format("%s since %s", version ? version : "-", since));
}

char *report_health(const cJSON *values)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    if (!out)
        return NULL;
    faults_lines(out, find(values, "faults"));
    database_line(out, find(values, "database"));
    data_line(out, find(values, "replica"));
    queue_line(out, find(values, "queue"));
    lan_line(out, find(values, "lan"));
    started_line(out, values);
    disk_lines(out, find(values, "disks"));
    memory_line(out, find(values, "memory"));
    load_line(out, values);
    pressure_line(out, find(values, "pressure"));
    temperature_lines(out, find(values, "temperatures"));
    network_line(out, "network", find(values, "network"));
    network_line(out, "own network", find(values, "ownNetwork"));
    service_lines(out, find(values, "services"));
    smart_lines(out, find(values, "smart"));
    clock_line(out, find(values, "clock"));
    booted_line(out, values);
    store_line(out, find(values, "podmanStore"));
    updates_line(out, values);
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

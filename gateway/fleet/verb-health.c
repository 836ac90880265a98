/* SPDX-License-Identifier: MIT */
/* health: what a box has told of itself last, and what is kept of the time before. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "gateway/fleet/show.h"
#include "lib/base/strv.h"
#include "lib/base/text.h"
#include "lib/cli/report-health.h"
#include "lib/cli/report.h"

#define SINCE_SECONDS_MAX (30 * 86400)
/* a clock that is wrong by less than this bothers nobody */
#define CLOCK_SECONDS 5

static const cJSON *find(const cJSON *o, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(o, key);
}

/* ", its clock is 90 s ahead", "" where it is right or not known: a new string. */
static char *clock_text(const cJSON *part)
{
    const cJSON *offset = find(part, "clockOffsetSeconds");
    double seconds = cJSON_IsNumber(offset) ? offset->valuedouble : 0;

    if (seconds > -CLOCK_SECONDS && seconds < CLOCK_SECONDS)
        return str_format("%s", "");
    return str_format(", its clock is %.0f s %s", seconds < 0 ? -seconds : seconds, seconds < 0 ? "behind" : "ahead");
}

static int print_part(FILE *out, const char *title, const cJSON *part)
{
    _cleanup_(freep) char *when = report_when(json_string(part, "receivedAt")), *clock = clock_text(part);
    _cleanup_(freep) char *safe = text_printable(when), *values = report_health(find(part, "values"));

    if (!safe || !clock || !values)
        return -ENOMEM;
    fprintf(out, "%s: told %s%s%s\n%s\n", title, safe, json_bool(part, "connected", false) ? "" : ", not connected now",
            clock, values);
    return 0;
}

/* A number of one of the two parts, with a unit: a new string, NULL where there is none. */
static char *cell(const cJSON *row, const char *key, const char *unit)
{
    const cJSON *item = find(find(row, "box"), key);

    if (!cJSON_IsNumber(item))
        item = find(find(row, "secbox"), key);
    return cJSON_IsNumber(item) ? str_format("%.0f%s", item->valuedouble, unit) : NULL;
}

/* The faults of both parts: a new string, NULL when there are none. */
static char *faults_text(const cJSON *row)
{
    static const char *const parts[] = { "box", "secbox" };
    _cleanup_(strv_freep) char **names = NULL;
    const cJSON *fault;

    for (size_t i = 0; i < ELEMENTSOF(parts); i++)
        cJSON_ArrayForEach(fault, find(find(row, parts[i]), "faults"))
            if (fault->string && strv_addf(&names, "%s", fault->string) < 0)
                return NULL;
    return names ? strv_join(names, " ") : NULL;
}

static int add_row(Table *table, const cJSON *row)
{
    _cleanup_(freep) char *disk = cell(row, "diskPercent", " %"), *memory = cell(row, "memoryPercent", " %"),
                          *cpu = cell(row, "cpuPercent", " %"), *load = cell(row, "load1", ""),
                          *heat = cell(row, "celsius", " C"), *queue = cell(row, "queueWaiting", ""),
                          *age = cell(row, "dataAgeSeconds", " s"), *faults = faults_text(row);

    return table_row(table, json_string(row, "at"), disk, memory, cpu, load, heat, queue, age, faults);
}

static int print_history(FILE *out, const cJSON *history)
{
    static const char *const headers[] = { "AT",   "DISK",  "MEMORY",   "CPU",    "LOAD",
                                           "HEAT", "QUEUE", "DATA AGE", "FAULTS", NULL };
    _cleanup_(table_freep) Table *table = table_new(headers);
    _cleanup_(freep) char *text = NULL;
    const cJSON *row;

    if (!cJSON_IsArray(history))
        return 0;
    cJSON_ArrayForEach(row, history)
        if (!table || add_row(table, row) < 0)
            return -ENOMEM;
    text = table && table_rows(table) > 0 ? table_print(table, 0) : str_format("nothing was noted in that time\n");
    if (!text)
        return -ENOMEM;
    fprintf(out, "%s", text);
    return 0;
}

/* A new string, NULL when out of memory. */
static char *health_text(const cJSON *body)
{
    const cJSON *health = find(body, "health"), *box = find(health, "box"), *secbox = find(health, "secbox");
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    int r = out ? 0 : -ENOMEM;

    if (r == 0 && !box && !secbox)
        fprintf(out, "the box has told nothing of itself yet: its programs are older, or were never connected\n");
    if (r == 0 && box)
        r = print_part(out, "the machine", box);
    if (r == 0 && secbox)
        r = print_part(out, "secbox", secbox);
    if (r == 0)
        r = print_history(out, find(body, "history"));
    if (out && fclose(out) != 0)
        r = -ENOMEM;
    if (r < 0) {
        free(text);
        return NULL;
    }
    return text;
}

int verb_health(int argc _unused_, char **argv, void *userdata)
{
    static const FleetView view = { .text = health_text };
    Fleet *fleet = userdata;
    _cleanup_(freep) char *base = fleet_device_path(argv[0], "/health");
    _cleanup_(error_done) Error err = {};
    int since = 0;

    int r = fleet_duration(fleet->since, "since", SINCE_SECONDS_MAX, &since, &err);
    return r < 0 ? fleet_fail(fleet, NULL, &err, r)
                 : fleet_show(fleet, "GET", base ? str_format("%s?since=%d", base, since) : NULL, NULL, &view);
}

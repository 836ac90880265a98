/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/health/container-values.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "mgmt-agent/health/values-impl.h"

#define FILE_MAX ((size_t) 64 * 1024)

/* "0::/machine.slice/libpod-ID.scope/container": what is below the container's own group is a part of it. */
int container_group_parse(const char *text, const char *id, char **ret)
{
    const char *line = str_starts(text, "0::/") ? text : strstr(text, "\n0::/"), *at = line, *end;

    if (!line || str_empty(id))
        return -ENOENT;
    line = strchr(line, '/');
    end = line + strcspn(line, "\n");
    /* not the group of conmon, which has the same id in its name */
    for (at = strstr(line, "/libpod-"); at && at < end; at = strstr(at + 1, "/libpod-")) {
        const char *name = at + strlen("/libpod-"), *rest;

        if (str_starts(name, "payload-"))
            name += strlen("payload-");
        if (!str_starts(name, id))
            continue;
        rest = name + strcspn(name, "/\n");
        *ret = strndup(line + 1, (size_t) (rest - line - 1));
        return *ret ? 0 : -ENOMEM;
    }
    return -ENOENT;
}

int cpu_usage_parse(const char *text, uint64_t *ret_usec)
{
    unsigned long long usec;

    if (sscanf(text, "usage_usec %19llu", &usec) != 1 || usec > VALUES_COUNT_MAX)
        return -EINVAL;
    *ret_usec = usec;
    return 0;
}

int container_values_read(const char *proc, const char *groups, pid_t pid, const char *id, usec_t now,
                          ContainerValues *ret)
{
    _cleanup_(freep) char *name = str_format("%d/cgroup", (int) pid),
                          *text = name ? values_read_file(proc, name, FILE_MAX) : NULL;
    _cleanup_(freep) char *group = NULL, *folder = NULL, *cpu = NULL, *memory = NULL;
    unsigned long long bytes = 0;
    ContainerValues usage = { .at = now };

    if (pid <= 0 || !text || container_group_parse(text, id, &group) < 0 || !(folder = path_join(groups, group)))
        return -ENOENT;
    cpu = values_read_file(folder, "cpu.stat", FILE_MAX);
    memory = values_read_file(folder, "memory.current", FILE_MAX);
    if (!cpu || cpu_usage_parse(cpu, &usage.cpu_usec) < 0 || !memory || sscanf(memory, "%19llu", &bytes) != 1 ||
        bytes > VALUES_COUNT_MAX)
        return -ENOENT;
    usage.memory_kib = bytes / 1024;
    *ret = usage;
    return 0;
}

double container_cpu_percent(const ContainerValues *before, const ContainerValues *now)
{
    if (before->at == 0 || now->at <= before->at || now->cpu_usec < before->cpu_usec)
        return -1;
    return 100.0 * (double) (now->cpu_usec - before->cpu_usec) / (double) (now->at - before->at);
}

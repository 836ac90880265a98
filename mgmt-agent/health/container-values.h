/* SPDX-License-Identifier: MIT */
/* What a container uses, by the files of its control group (cgroup v2); podman is not asked. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"

typedef struct ContainerValues {
    uint64_t cpu_usec, memory_kib;
    usec_t at; /* when it was read; 0: never */
} ContainerValues;

/* Of /proc/PID/cgroup: the group of the container `id`, where PID is in one of its own: a new string, below the mount of cgroup v2.
 * -ENOENT: it has none, as with podman that may make no groups; -ENOMEM. */
int container_group_parse(const char *text, const char *id, char **ret) _must_check_;
/* Of cpu.stat. -EINVAL. */
int cpu_usage_parse(const char *text, uint64_t *ret_usec) _must_check_;

/* `proc` and `groups` are the folders /proc and /sys/fs/cgroup. -ENOENT: not known. */
int container_values_read(const char *proc, const char *groups, pid_t pid, const char *id, usec_t now,
                          ContainerValues *ret) _must_check_;
/* Of one processor, between two looks; negative: not known. */
double container_cpu_percent(const ContainerValues *before, const ContainerValues *now);

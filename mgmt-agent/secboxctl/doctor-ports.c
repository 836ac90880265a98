/* SPDX-License-Identifier: MIT */
/* doctor: who listens on a port that a container which is down wants to publish. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fileio.h"
#include "lib/base/strv.h"
#include "mgmt-agent/secboxctl/doctor.h"

#define LINE_BYTES 512
#define LINK_BYTES 64
#define CGROUP_MAX 4096
#define TCP_LISTEN 10

/* The inode of the socket that listens on a TCP port, from a table of the kernel's; 0 when there is none. */
static uint64_t listener_in(const char *table, unsigned port)
{
    char line[LINE_BYTES];
    FILE *f = fopen(table, "re");
    uint64_t found = 0;

    while (f && found == 0 && fgets(line, sizeof(line), f)) {
        unsigned local, state;
        uint64_t inode;

        if (sscanf(line, "%*u: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*s %*s %*s %*u %*u %ju", &local, &state,
                   &inode) == 3 &&
            local == port && state == TCP_LISTEN)
            found = inode;
    }
    if (f)
        fclose(f);
    return found;
}

static bool holds(const char *pid, const char *socket_name)
{
    _cleanup_(freep) char *folder = str_format("/proc/%s/fd", pid);
    DIR *dir = folder ? opendir(folder) : NULL;
    const struct dirent *entry;
    bool found = false;

    while (dir && !found && (entry = readdir(dir))) {
        char target[LINK_BYTES];
        ssize_t n = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1);

        if (n <= 0)
            continue;
        target[n] = '\0';
        found = str_equal(target, socket_name);
    }
    if (dir)
        closedir(dir);
    return found;
}

/* The process that has a socket: its number as text, new, or NULL. */
static char *owner_of(uint64_t inode)
{
    _cleanup_(freep) char *name = str_format("socket:[%ju]", (uintmax_t) inode);
    DIR *proc = opendir("/proc");
    const struct dirent *entry;
    char *pid = NULL;

    while (proc && name && !pid && (entry = readdir(proc)))
        if (entry->d_name[strspn(entry->d_name, "0123456789")] == '\0' && holds(entry->d_name, name))
            pid = strdup(entry->d_name);
    if (proc)
        closedir(proc);
    return pid;
}

/* The system's unit that a process belongs to: a new string or NULL. */
static char *unit_of(const char *pid)
{
    _cleanup_(freep) char *path = str_format("/proc/%s/cgroup", pid), *text = NULL;

    if (!path || file_read(path, CGROUP_MAX, &text, NULL, NULL) < 0)
        return NULL;
    char *at = strstr(text, "/system.slice/");
    if (!at)
        return NULL;
    at += strlen("/system.slice/");
    at[strcspn(at, "\n/")] = '\0';
    return str_ends(at, ".service") && !strpbrk(at, " '\\") ? strdup(at) : NULL;
}

/* The first of a container's published TCP ports that somebody listens on; 0 when there is none. */
static unsigned taken_port(const cJSON *bindings, uint64_t *ret_inode)
{
    const cJSON *inside, *one;

    cJSON_ArrayForEach(inside, bindings)
        cJSON_ArrayForEach(one, inside) {
            const char *text = json_string(one, "HostPort");
            uint64_t port;

            if (!str_ends(inside->string, "/tcp") || !text || str_to_u64(text, 1, UINT16_MAX, &port) < 0)
                continue;
            *ret_inode = listener_in("/proc/net/tcp", (unsigned) port);
            if (*ret_inode == 0)
                *ret_inode = listener_in("/proc/net/tcp6", (unsigned) port);
            if (*ret_inode != 0)
                return (unsigned) port;
        }
    return 0;
}

bool finding_of_taken_port(Doctor *d, const char *container, Finding *f)
{
    _cleanup_(freep) char *said =
        podman_says(d, (const char *const[]) { "container", "inspect", "--format", "{{json .HostConfig.PortBindings}}",
                                               container, NULL });
    _cleanup_(cJSON_Deletep) cJSON *bindings = said ? cJSON_Parse(said) : NULL;
    uint64_t inode = 0;
    unsigned port = taken_port(bindings, &inode);
    _cleanup_(freep) char *pid = port > 0 ? owner_of(inode) : NULL;

    if (!pid)
        return false;
    _cleanup_(freep) char *unit = unit_of(pid), *folder = str_format("/proc/%s", pid);
    _cleanup_(freep) char *start = podman_command(d, "start", container);
    finding_set(f, VERDICT_FAIL, NULL, "%s is down, and port %u that it wants is taken by process %s%s%s%s", container,
                port, pid, unit ? " (" : "", unit ? unit : "", unit ? ")" : "");
    if (folder)
        finding_since_file(f, folder);
    if (start)
        finding_remedy(f, "%s %s && %s", unit ? "systemctl stop" : "kill", unit ? unit : pid, start);
    return true;
}

/* SPDX-License-Identifier: MIT */
/* From the kernel's tables and /proc. */
#include "lib/net/port-owner.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fileio.h"
#include "lib/base/proc.h"
#include "lib/base/strv.h"
#include "lib/base/text.h"

#define LINE_BYTES 512
#define LINK_BYTES 64
#define CGROUP_MAX 4096
#define TCP_LISTEN 10
#define UDP_UNCONNECTED 7
#define ADDRESS_DIGITS 32
#define INIT_PID 1

/* "0100007F" or 32 digits: words of an address as the kernel prints them. IPv4 becomes ::ffff:…. */
static bool address_from_table(const char *hex, struct in6_addr *ret)
{
    size_t words = strlen(hex) / 8, at = words == 1 ? 12 : 0;

    if (strlen(hex) % 8 != 0 || (words != 1 && words != 4))
        return false;
    *ret = (struct in6_addr) {};
    if (words == 1)
        memset(ret->s6_addr + 10, 0xff, 2);
    for (size_t i = 0; i < words; i++) {
        uint32_t word;

        if (sscanf(hex + i * 8, "%8" SCNx32, &word) != 1)
            return false;
        memcpy(ret->s6_addr + at + i * 4, &word, sizeof(word));
    }
    return true;
}

static bool address_from_text(const char *text, struct in6_addr *ret)
{
    _cleanup_(freep) char *mapped = NULL;

    if (str_empty(text))
        text = "::";
    if (inet_pton(AF_INET6, text, ret) == 1)
        return true;
    mapped = str_format("::ffff:%s", text);
    return mapped && inet_pton(AF_INET6, mapped, ret) == 1;
}

static bool is_any_v4(const struct in6_addr *a)
{
    static const uint8_t zero[4];

    return IN6_IS_ADDR_V4MAPPED(a) && memcmp(a->s6_addr + 12, zero, sizeof(zero)) == 0;
}

/* Whether two sockets cannot listen on one port at these addresses. */
static bool in_each_others_way(const struct in6_addr *a, const struct in6_addr *b)
{
    if (IN6_ARE_ADDR_EQUAL(a, b) || IN6_IS_ADDR_UNSPECIFIED(a) || IN6_IS_ADDR_UNSPECIFIED(b))
        return true;
    return IN6_IS_ADDR_V4MAPPED(a) && IN6_IS_ADDR_V4MAPPED(b) && (is_any_v4(a) || is_any_v4(b));
}

/* The inode of the socket in that state where a port is wanted, from a table of the kernel's; 0 when there is none. */
static uint64_t socket_in(const char *table, const struct in6_addr *wanted, unsigned port, unsigned wanted_state)
{
    char line[LINE_BYTES];
    FILE *f = fopen(table, "re");
    uint64_t found = 0;

    while (f && found == 0 && fgets(line, sizeof(line), f)) {
        char hex[ADDRESS_DIGITS + 1];
        struct in6_addr address;
        unsigned local, state;
        uint64_t inode;

        if (sscanf(line, "%*u: %32[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*s %*s %*s %*u %*u %ju", hex, &local, &state,
                   &inode) == 4 &&
            local == port && state == wanted_state && address_from_table(hex, &address) &&
            in_each_others_way(&address, wanted))
            found = inode;
    }
    if (f)
        fclose(f);
    return found;
}

uint64_t port_listener(const char *address, unsigned port)
{
    struct in6_addr wanted;
    uint64_t inode;

    if (!address_from_text(address, &wanted))
        return 0;
    inode = socket_in("/proc/net/tcp", &wanted, port, TCP_LISTEN);
    return inode != 0 ? inode : socket_in("/proc/net/tcp6", &wanted, port, TCP_LISTEN);
}

/* "ADDRESS:PORT/PROTOCOL" */
static bool host_port_parse(const char *text, struct in6_addr *ret_address, unsigned *ret_port)
{
    const char *colon = strrchr(text, ':'), *slash = colon ? strchr(colon, '/') : NULL;
    _cleanup_(freep) char *digits = slash ? strndup(colon + 1, (size_t) (slash - colon - 1)) : NULL;
    bool bracketed = text[0] == '[' && colon && colon > text + 1 && colon[-1] == ']';
    _cleanup_(freep) char *address =
        colon ? strndup(text + bracketed, (size_t) (colon - text) - (bracketed ? 2 : 0)) : NULL;
    uint64_t port;

    if (!digits || !address || str_to_u64(digits, 1, UINT16_MAX, &port) < 0)
        return false;
    *ret_port = (unsigned) port;
    return address_from_text(address, ret_address);
}

bool port_is_served(const char *tables, const char *host_port)
{
    bool udp = str_ends(host_port, "/udp");
    _cleanup_(freep) char *v4 = str_format("%s/%s", tables, udp ? "udp" : "tcp");
    _cleanup_(freep) char *v6 = str_format("%s/%s", tables, udp ? "udp6" : "tcp6");
    unsigned port, state = udp ? UDP_UNCONNECTED : TCP_LISTEN;
    struct in6_addr wanted;

    if (!v4 || !v6 || (!udp && !str_ends(host_port, "/tcp")) || access(v4, R_OK) < 0 ||
        !host_port_parse(host_port, &wanted, &port))
        return true;
    return socket_in(v4, &wanted, port, state) != 0 || socket_in(v6, &wanted, port, state) != 0;
}

/* Whether the process has the socket of that name. */
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

char *socket_owner(uint64_t inode)
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

char *cgroup_unit(const char *text)
{
    static const char ours[] = "0::/system.slice/";

    /* users name the groups below their own slice as they like, also /user.slice/…/system.slice/ssh.service */
    while (!str_starts(text, ours)) {
        text = strchr(text, '\n');
        if (!text)
            return NULL;
        text++;
    }
    const char *at = text + strlen(ours);
    _cleanup_(freep) char *unit = strndup(at, strcspn(at, "\n/"));
    return unit && str_ends(unit, ".service") && text_is_shell_word(unit) ? TAKE_PTR(unit) : NULL;
}

char *process_unit(const char *pid)
{
    _cleanup_(freep) char *path = str_format("/proc/%s/cgroup", pid), *text = NULL;

    return path && file_read(path, CGROUP_MAX, &text, NULL, NULL) >= 0 ? cgroup_unit(text) : NULL;
}

char *process_kill_command(const char *pid)
{
    uint64_t number,
        ticks = str_to_u64(pid, INIT_PID + 1, INT32_MAX, &number) < 0 ? 0 : process_start_ticks((pid_t) number);

    /* behind the name, which may hold anything, it is the 20th word */
    return ticks == 0 ? NULL
                      : str_format("test \"$(sed 's/.*) //' /proc/%s/stat | cut -d ' ' -f 20)\" = %ju && kill %s", pid,
                                   (uintmax_t) ticks, pid);
}

char *port_owner_end_command(const char *pid)
{
    _cleanup_(freep) char *unit = process_unit(pid);

    return unit ? str_format("systemctl stop %s", unit) : process_kill_command(pid);
}

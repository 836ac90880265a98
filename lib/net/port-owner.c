/* SPDX-License-Identifier: MIT */
/* From the kernel's tables and /proc. */
#include "lib/net/port-owner.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
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
#define SOCKETS_MIN 32

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

typedef struct Socket {
    struct in6_addr address;
    unsigned port, state;
    uint64_t inode;
} Socket;

static bool socket_from_line(const char *line, Socket *ret)
{
    char hex[ADDRESS_DIGITS + 1];

    return sscanf(line, "%*u: %32[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*s %*s %*s %*u %*u %ju", hex, &ret->port,
                  &ret->state, &ret->inode) == 4 &&
           address_from_table(hex, &ret->address);
}

static bool has_port(const Socket *s, const struct in6_addr *wanted, unsigned port)
{
    return s->port == port && in_each_others_way(&s->address, wanted);
}

/* The inode of the socket that listens where a port is wanted, from a table of the kernel's; 0 when there is none. */
static uint64_t listener_in(const char *table, const struct in6_addr *wanted, unsigned port)
{
    char line[LINE_BYTES];
    FILE *f = fopen(table, "re");
    uint64_t found = 0;

    while (f && found == 0 && fgets(line, sizeof(line), f)) {
        Socket s;

        if (socket_from_line(line, &s) && s.state == TCP_LISTEN && has_port(&s, wanted, port))
            found = s.inode;
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
    inode = listener_in("/proc/net/tcp", &wanted, port);
    return inode != 0 ? inode : listener_in("/proc/net/tcp6", &wanted, port);
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

/* The sockets of one protocol that are in the state of those that wait for others. */
typedef struct PortList {
    Socket *sockets;
    size_t n, room;
    bool known; /* false: its tables cannot be read */
} PortList;

struct PortTables {
    PortList tcp, udp;
};

static int list_add(PortList *l, const Socket *s)
{
    if (l->n == l->room) {
        size_t room = l->room > 0 ? 2 * l->room : SOCKETS_MIN;
        Socket *sockets = reallocarray(l->sockets, room, sizeof(*sockets));

        if (!sockets)
            return -ENOMEM;
        l->sockets = sockets;
        l->room = room;
    }
    l->sockets[l->n++] = *s;
    return 0;
}

/* -ENOENT: there is no such table. */
static int list_read(PortList *l, const char *folder, const char *name, unsigned state)
{
    _cleanup_(freep) char *path = str_format("%s/%s", folder, name);
    FILE *f = path ? fopen(path, "re") : NULL;
    char line[LINE_BYTES];
    int r = 0;

    if (!f)
        return path ? -errno : -ENOMEM;
    while (r == 0 && fgets(line, sizeof(line), f)) {
        Socket s;

        if (socket_from_line(line, &s) && s.state == state)
            r = list_add(l, &s);
    }
    if (r == 0 && ferror(f))
        r = -EIO;
    fclose(f);
    return r;
}

/* A kernel without IPv6 has no table of it. */
static void list_read_both(PortList *l, const char *folder, const char *v4, const char *v6, unsigned state)
{
    int r = list_read(l, folder, v4, state), r6 = r == 0 ? list_read(l, folder, v6, state) : r;

    l->known = r == 0 && (r6 == 0 || r6 == -ENOENT);
}

PortTables *port_tables_read(const char *folder)
{
    PortTables *t = calloc(1, sizeof(*t));

    if (!t)
        return NULL;
    list_read_both(&t->tcp, folder, "tcp", "tcp6", TCP_LISTEN);
    list_read_both(&t->udp, folder, "udp", "udp6", UDP_UNCONNECTED);
    return t;
}

PortTables *port_tables_free(PortTables *t)
{
    if (!t)
        return NULL;
    free(t->tcp.sockets);
    free(t->udp.sockets);
    free(t);
    return NULL;
}

bool port_tables_serve(const PortTables *t, const char *host_port)
{
    bool udp = str_ends(host_port, "/udp");
    const PortList *l = !t ? NULL : udp ? &t->udp : &t->tcp;
    struct in6_addr wanted;
    unsigned port;

    if (!l || !l->known || (!udp && !str_ends(host_port, "/tcp")) || !host_port_parse(host_port, &wanted, &port))
        return true;
    for (size_t i = 0; i < l->n; i++)
        if (has_port(&l->sockets[i], &wanted, port))
            return true;
    return false;
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

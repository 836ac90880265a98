/* SPDX-License-Identifier: MIT */
/* Who listens on a TCP port that somebody else wants, for sentences about it. Only root sees everybody's sockets. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/mem.h"

/* The inode of the socket that is in the way of listening at this numeric address (NULL or "": all of them); 0: none. */
uint64_t port_listener(const char *address, unsigned port);
/* The sockets that wait for others, as the kernel's tables in a folder /proc/PID/net show them for one moment. */
typedef struct PortTables PortTables;
PortTables *port_tables_read(const char *folder); /* NULL when out of memory */
PortTables *port_tables_free(PortTables *t);
DEFINE_CLEANUP(PortTables, port_tables_free)
/* Whether somebody has the port of "ADDRESS:PORT/tcp" or "…/udp" (IPv6 in brackets, an empty address is all of them) there. True
 * where that cannot be told, as without tables. */
bool port_tables_serve(const PortTables *t, const char *host_port);
/* The process that has a socket: its number as text, new, or NULL. */
char *socket_owner(uint64_t inode);
/* The system's unit that a process belongs to, a word for a shell: a new string or NULL. */
char *process_unit(const char *pid);
/* The same from the text of its /proc/PID/cgroup. */
char *cgroup_unit(const char *text);
/* The words for a shell that end this process, and no other one that has its number by the time they are typed: a new
 * string, or NULL when it has gone, and for process 1. */
char *process_kill_command(const char *pid);
/* The same of a process with a port: its unit is stopped, where it has one. Without such a command there is this to do. */
char *port_owner_end_command(const char *pid);
#define PORT_OWNER_ADVICE                                                                                              \
    "Process 1 holds ports for socket units: `systemctl list-sockets` names the one to stop and disable. Any other "   \
    "process has "                                                                                                     \
    "ended by now: ask again."

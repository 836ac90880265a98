/* SPDX-License-Identifier: MIT */
/* Rootless podman publishes ports by a process of its own, and takes no notice when that one has ended or never came, as it may
 * after a boot: the container runs, is healthy from the inside, and nobody reaches it. No event tells, so the kernel's tables of
 * sockets are looked at now and then. Root's podman needs no such process. */

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "compose/model/project.h"
#include "lib/base/log.h"
#include "lib/base/proc.h"
#include "lib/base/strv.h"
#include "lib/event/daemon.h"
#include "lib/net/port-owner.h"
#include "mgmt-agent/agent/service-watch-impl.h"

/* The machine's: mgmt-agent has a network of its own, which leads nowhere. */
#define TABLES "/proc/1/net"
#define LOOK_USEC (30 * USEC_PER_SEC)
/* One that is just being stopped may have lost its port first. */
#define AGAIN_USEC (5 * USEC_PER_SEC)

/* Only in a network of its own does podman publish ports for it. */
static bool has_own_network(const CurrentService *s)
{
    const char *mode = json_string(s->config, "network_mode");

    return str_empty(mode) || str_equal(mode, "bridge") || str_starts(mode, "slirp4netns") || str_starts(mode, "pasta");
}

int service_entry_take_ports(ServiceEntry *e, const CurrentService *s)
{
    int r = 0;

    for (char *const *port = s->host_ports; r == 0 && has_own_network(s) && port && *port; port++)
        r = strv_add(&e->ports, *port);
    return r;
}

static bool is_rootless(const ServiceEntry *e)
{
    struct stat st;

    return e->pid_file && stat(e->pid_file, &st) == 0 && st.st_uid != 0;
}

static bool is_looked_at(const ServiceEntry *e)
{
    bool runs = e->record.seen == SERVICE_RUNNING || e->record.seen == SERVICE_UNHEALTHY;

    return !e->one_shot && e->ports && runs && e->pid > 0 && e->ticks > 0 && process_start_ticks(e->pid) == e->ticks &&
           is_rootless(e);
}

/* The first of its ports that nobody listens on, or NULL. The tables are read once for all services. */
static const char *deserted_port(const ServiceEntry *e, PortTables **tables)
{
    if (!*tables)
        *tables = port_tables_read(TABLES);
    for (char *const *port = e->ports; port && *port; port++)
        if (!port_tables_serve(*tables, *port))
            return *port;
    return NULL;
}

bool service_entry_is_cut_off(const ServiceEntry *e)
{
    return e->cut_off && e->ticks > 0 && e->ticks == e->missed_ticks;
}

static void find_well(ServiceEntry *e)
{
    e->missed_ticks = 0;
    if (!e->cut_off)
        return;
    free(e->cut_off);
    e->cut_off = NULL;
    service_watch_ask_in(e->watch, 0);
}

static void find_deserted(ServiceEntry *e, const char *port)
{
    if (e->cut_off)
        return;
    e->cut_off = str_format("it runs, and nobody listens on its published port %s: podman's port forwarder is gone",
                            str_starts(port, ":") ? port + 1 : port);
    if (!e->cut_off)
        return;
    log_warning("Service %s: %s", e->name, e->cut_off);
    service_watch_ask_in(e->watch, 0);
}

/* True: it has to be looked at again soon. */
static bool look_at(ServiceEntry *e, PortTables **tables)
{
    const char *port = is_looked_at(e) ? deserted_port(e, tables) : NULL;
    bool again = port && e->missed_ticks == e->ticks;

    if (!again)
        find_well(e);
    if (again)
        find_deserted(e, port);
    else if (port)
        e->missed_ticks = e->ticks;
    return port && !again;
}

static int on_ports_timer(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    ServiceWatch *w = userdata;
    _cleanup_(port_tables_freep) PortTables *tables = NULL;
    bool soon = false;
    int r;

    if (agent_is_busy(w->agent) || !w->agent->boot.done)
        return 0; /* service_watch_continue() comes again */
    for (size_t i = 0; i < w->n; i++)
        soon = look_at(&w->entries[i], &tables) || soon;
    r = timer_arm(w->agent->event, &w->ports_timer, (soon ? AGAIN_USEC : LOOK_USEC) / w->pace, on_ports_timer, w);
    if (r < 0)
        log_error("Cannot arm the timer of published ports: %s", strerror(-r));
    return 0;
}

void service_watch_arm_ports(ServiceWatch *w)
{
    bool any = false;
    int r = 0;

    for (size_t i = 0; i < w->n; i++)
        any = any || (w->entries[i].ports && !w->entries[i].one_shot);
    if (!any)
        timer_disarm(w->ports_timer);
    else
        r = timer_arm(w->agent->event, &w->ports_timer, AGAIN_USEC / w->pace, on_ports_timer, w);
    if (r < 0)
        log_error("Cannot arm the timer of published ports: %s", strerror(-r));
}

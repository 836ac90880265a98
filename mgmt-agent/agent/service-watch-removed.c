/* SPDX-License-Identifier: MIT */
/* Services that a deployment has taken away in the middle of their trouble. Nobody looks at them any more, but the alarm that they
 * raised must end, also where the cloud is away just then: for a day it is told that they were removed. */

#include <string.h>

#include "lib/base/strv.h"
#include "mgmt-agent/agent/service-watch-impl.h"

static void forget(ServiceWatch *w, size_t i)
{
    service_entry_done(&w->removed[i]);
    w->n_removed--;
    memmove(&w->removed[i], &w->removed[i + 1], (w->n_removed - i) * sizeof(w->removed[0]));
    w->removed[w->n_removed] = (ServiceEntry) {};
}

/* Takes over what the entry owns. */
static void keep(ServiceWatch *w, ServiceEntry *e)
{
    if (w->n_removed == ELEMENTSOF(w->removed))
        forget(w, 0);
    e->on_health = sd_event_source_disable_unref(e->on_health);
    e->on_folder = sd_event_source_disable_unref(e->on_folder);
    w->removed[w->n_removed++] = *e;
    *e = (ServiceEntry) {};
}

bool service_watch_remove(ServiceWatch *w, ServiceEntry *e)
{
    ServiceRecord before = e->record;

    if (e->one_shot || !service_in_trouble(&e->record))
        return false;
    service_remove(&e->record, realtime_usec());
    service_entry_log(e, &before);
    keep(w, e);
    return true;
}

void service_watch_forget_removed(ServiceWatch *w)
{
    usec_t now = realtime_usec();

    for (size_t i = w->n_removed; i-- > 0;)
        if (now > w->removed[i].record.since + USEC_PER_DAY)
            forget(w, i);
}

static bool is_followed(const ServiceWatch *w, const char *name)
{
    for (size_t i = 0; i < w->n; i++)
        if (str_equal(w->entries[i].name, name))
            return true;
    return false;
}

static void recall(ServiceWatch *w, const ServiceStatus *s)
{
    ServiceEntry e = { .watch = w, .name = strdup(s->name ? s->name : "") };

    service_watch_recall_entry(&e, s);
    if (e.name && e.record.state == SERVICE_REMOVED)
        keep(w, &e);
    else if (e.name)
        (void) service_watch_remove(w, &e);
    service_entry_done(&e);
}

void service_watch_recall_removed(ServiceWatch *w, const ServicesFile *remembered)
{
    for (size_t i = 0; i < remembered->n_removed; i++)
        recall(w, &remembered->removed[i]);
    /* taken away while nobody watched */
    for (size_t i = 0; i < remembered->n_services; i++)
        if (!is_followed(w, remembered->services[i].name))
            recall(w, &remembered->services[i]);
}

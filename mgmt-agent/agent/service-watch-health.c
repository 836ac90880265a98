/* SPDX-License-Identifier: MIT */
/* Podman has health checks run by timers of systemd. Without a service manager of its user it cannot make them, and nobody is told.
 * Their results show it: where none has come for two intervals, we have podman run the check, at that interval, until one comes
 * by itself. */

#include <errno.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/event/daemon.h"
#include "mgmt-agent/agent/service-watch-impl.h"

/* What podman's own may be late on a busy box. */
#define LATE_USEC (15 * USEC_PER_SEC)
/* The result may be seen a moment after the end of the worker that has made it. */
#define OURS_USEC (2 * USEC_PER_SEC)

static usec_t due_at(const ServiceEntry *e)
{
    bool runs = e->record.seen == SERVICE_RUNNING || e->record.seen == SERVICE_UNHEALTHY;

    if (e->one_shot || !runs || !e->health || e->health_interval == 0)
        return USEC_INFINITY;
    return e->health_at + (e->health_by_us ? e->health_interval : 2 * e->health_interval + LATE_USEC);
}

/* The containers whose check is due; NULL when there is none, or no memory. */
static cJSON *take_due(ServiceWatch *w, usec_t now)
{
    _cleanup_(cJSON_Deletep) cJSON *request = cJSON_CreateObject();
    cJSON *ids = cJSON_CreateArray();

    if (json_add_item(request, "containers", ids) < 0)
        return NULL;
    for (size_t i = 0; i < w->n; i++) {
        ServiceEntry *e = &w->entries[i];

        if (due_at(e) > now)
            continue;
        if (!e->health_by_us)
            log_notice("Podman does not run the health check of %s by itself: mgmt-agent has it run", e->name);
        e->health_by_us = true;
        e->health_at = now;
        if (json_append(ids, cJSON_CreateString(e->id)) < 0)
            return NULL;
    }
    return cJSON_GetArraySize(ids) > 0 ? TAKE_PTR(request) : NULL;
}

static void on_message(Runner *r _unused_, const cJSON *message _unused_, void *userdata _unused_)
{
}

static void on_checked(Runner *r _unused_, int ok _unused_, int exit_status _unused_, void *userdata)
{
    ServiceWatch *w = userdata;

    w->health_runner = runner_free(w->health_runner);
    w->health_ended = boottime_usec();
    service_watch_arm_health(w);
}

static int on_health_timer(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    ServiceWatch *w = userdata;
    _cleanup_(cJSON_Deletep) cJSON *request = NULL;
    _cleanup_(error_done) Error err = {};
    int r;

    if (w->health_runner || agent_is_busy(w->agent) || !w->agent->boot.done)
        return 0; /* service_watch_continue() comes again */
    request = take_due(w, boottime_usec());
    if (request) {
        r = runner_start(w->agent->event, &w->agent->runner_options, "check-health", request, on_message, on_checked, w,
                         &w->health_runner, &err);
        if (r < 0)
            log_failure(LOG_LEVEL_WARNING, NULL, &err, r, "Cannot have health checks run");
    }
    service_watch_arm_health(w);
    return 0;
}

void service_watch_arm_health(ServiceWatch *w)
{
    usec_t now = boottime_usec(), first = USEC_INFINITY;
    int r = 0;

    for (size_t i = 0; i < w->n; i++)
        if (due_at(&w->entries[i]) < first)
            first = due_at(&w->entries[i]);
    if (first == USEC_INFINITY || w->health_runner)
        timer_disarm(w->health_timer);
    else
        r = timer_arm(w->agent->event, &w->health_timer, first > now ? first - now : 0, on_health_timer, w);
    if (r < 0)
        log_error("Cannot arm the timer of health checks: %s", strerror(-r));
}

void service_entry_checked(ServiceEntry *e)
{
    ServiceWatch *w = e->watch;

    e->health_at = boottime_usec();
    if (!w->health_runner && e->health_at > w->health_ended + OURS_USEC)
        e->health_by_us = false;
    service_watch_arm_health(w);
}

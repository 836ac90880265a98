/* SPDX-License-Identifier: MIT */
/* Watches what was deployed, brings back what should run and does not, and says how each service is. Podman is asked only when
 * something has happened: a first process has ended, a health check has another result. */
#pragma once

#include "lib/base/clock.h"
#include "lib/data/json.h"

typedef struct Agent Agent;
typedef struct ServiceWatch ServiceWatch;

/* `pace` divides all periods but those that podman itself needs. `project` is NULL for the box's own. */
int service_watch_new(Agent *a, const char *project, unsigned pace, ServiceWatch **ret, Error *err) _must_check_;
ServiceWatch *service_watch_free(ServiceWatch *w);
DEFINE_CLEANUP(ServiceWatch, service_watch_free)

/* The agent is idle again: what is deployed may be another one, and what was put off is due. NULL does nothing. */
void service_watch_continue(ServiceWatch *w);
/* Takes over the agent's stop_alarm. NULL does nothing. */
void service_watch_take_settings(ServiceWatch *w);
/* Whether a service that does not run has ended or failed by itself. False where a person stopped it, and while nothing is known of
 * it yet. */
bool service_watch_ended_by_itself(const ServiceWatch *w, const char *service);
/* What is deployed, as an array; NULL when out of memory. An empty one for NULL. */
cJSON *service_watch_describe(const ServiceWatch *w);
/* The array `services` of agent.status: with those that were taken away in the middle of their trouble. */
cJSON *service_watch_describe_all(const ServiceWatch *w);
/* The same for health.report: an object for each with a "state", podman's count of "restarts", "forgotten" when it was stopped by
 * hand for too long, and what its container uses; NULL when out of memory. */
cJSON *service_watch_measure(ServiceWatch *w);
/* Whether it is asking podman. */
bool service_watch_is_asking(const ServiceWatch *w);
/* Tells systemd that the agent is ready, and which services are not well. */
void service_watch_tell_manager(const ServiceWatch *w);

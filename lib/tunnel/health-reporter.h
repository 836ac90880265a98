/* SPDX-License-Identifier: MIT */
/* The box's end of health.report: values are looked at every half minute, and told to the cloud every minute, or at once when
 * other faults are among them. One report is under way at a time; each is the difference to what the cloud has acknowledged last
 * on this connection. */
#pragma once

#include <systemd/sd-event.h>

#include "lib/base/clock.h"
#include "lib/data/json.h"

typedef struct HealthReporter HealthReporter;

typedef struct HealthReporterEvents {
    /* The values of this moment: a new object, in which "faults" is an object that has a member for each. NULL: none. */
    cJSON *(*gather)(void *userdata);
    /* Negative when it cannot be sent now. */
    int (*send)(const cJSON *message, void *userdata);
} HealthReporterEvents;

/* Looks for the first time from the loop. `pace` divides both periods. */
int health_reporter_new(sd_event *event, unsigned pace, const HealthReporterEvents *events, void *userdata,
                        HealthReporter **ret) _must_check_;
HealthReporter *health_reporter_free(HealthReporter *h);
DEFINE_CLEANUP(HealthReporter, health_reporter_free)

/* Whose values these are: {"version","bootId",SINCE}, where SINCE, like "startedAt", names the moment `since`. */
int health_add_origin(cJSON *values, const char *since_key, usec_t since) _must_check_;

/* All of these take NULL for a reporter that is not there yet. Something may have changed: it is looked at in a moment. */
void health_reporter_look(HealthReporter *h);
/* A new connection knows nothing: everything is told, at once. */
void health_reporter_connected(HealthReporter *h);
void health_reporter_disconnected(HealthReporter *h);
/* health.ack */
void health_reporter_take_ack(HealthReporter *h, const cJSON *message);
/* The values of the last look, borrowed; NULL before the first. */
const cJSON *health_reporter_values(const HealthReporter *h);

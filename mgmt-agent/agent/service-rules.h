/* SPDX-License-Identifier: MIT */
/* Whether a deployed service is well, and what is done when it is not. Pure: what a look has found and two clocks in, a state and
 * a step out. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/clock.h"

#define SERVICE_ENDS 3 /* restarts by podman within the loop window that are a loop */

typedef enum RestartPolicy {
    RESTART_NO,
    RESTART_ON_FAILURE,
    RESTART_ALWAYS, /* unless-stopped, too: the difference is about boots, which are ours */
} RestartPolicy;

typedef enum ServiceState {
    SERVICE_UNKNOWN,
    SERVICE_RUNNING,
    SERVICE_ENDED,   /* by itself, and its policy leaves it at that */
    SERVICE_BY_HAND, /* somebody stopped, paused or removed it; a trouble, too, when nobody starts it again for long */
    SERVICE_DOWN,    /* it should run */
    SERVICE_LOOPING, /* podman restarts it again and again */
    SERVICE_UNHEALTHY,
    SERVICE_REMOVED, /* a deployment has come without it */
    _SERVICE_STATES,
} ServiceState;

typedef struct ServiceFacts {
    const char *status; /* podman's word; NULL: there is no container */
    const char *health; /* or NULL */
    bool alive;         /* its first process is there, as the kernel says */
    bool guessed;       /* podman could not be asked: only the kernel's word */
    bool stopped_by_user;
    bool restart_failed; /* podman meant to restart it, and could not */
    bool out_of_memory;
    bool cut_off; /* it runs, and nobody listens on a port that it publishes */
    int exit_code;
    unsigned restarts, max_retries; /* by podman, since a person or we started it; 0: no limit */
    RestartPolicy policy;
} ServiceFacts;

typedef struct ServiceTimes {
    usec_t settle;   /* podman's own restart gets so long */
    usec_t patience; /* with one that is unhealthy or loops */
    usec_t loop_window;
    usec_t well_after; /* it must have run well for so long */
    usec_t unit;       /* a second of the delays between tries */
    usec_t stop_alarm; /* stopped by hand for so long is a trouble; 0: never */
} ServiceTimes;

typedef enum ServiceStep {
    SERVICE_STEP_NONE,
    SERVICE_STEP_START,
    SERVICE_STEP_RESTART,
    SERVICE_STEP_RECREATE,
} ServiceStep;

typedef struct ServiceRecord {
    ServiceState state; /* what is shown */
    usec_t since;       /* wall clock of it */
    usec_t shown_at;    /* the same by CLOCK_BOOTTIME; before the boot it has wrapped, so only differences count */
    ServiceState seen;  /* by the last look */
    usec_t seen_at, running_at; /* CLOCK_BOOTTIME: seen as that since; running without a pause since, 0: it is not */
    usec_t ending_at;           /* the same clock: stopped, and without a process since; 0: it is not */
    bool counted;               /* restarts_seen means something */
    unsigned restarts_seen;
    usec_t ends[SERVICE_ENDS]; /* CLOCK_BOOTTIME of the last restarts by podman, oldest first; 0: none */
    bool leave;                /* its policy forbids that we start it */
    bool stuck;                /* its monitor was killed with it, and podman cannot start it any more */
    bool cut_off;              /* all that ails it is that nobody listens on a port that it publishes */

    /* the last time that it was not well */
    ServiceState trouble;                /* SERVICE_UNKNOWN: never */
    usec_t trouble_since, trouble_until; /* wall clock; 0: it goes on */
    usec_t trouble_at;                   /* CLOCK_BOOTTIME */
    unsigned restarts;                   /* in it, by podman and by us */
    unsigned tries;                      /* ours */
    bool recreated;
    usec_t not_before; /* of the next step */
} ServiceRecord;

/* "always", "on-failure:3", … as a compose file says it. */
RestartPolicy service_policy_from_string(const char *restart);
const char *service_state_to_string(ServiceState s);
ServiceState service_state_from_string(const char *s);

/* The state that facts alone show. */
ServiceState service_judge(const ServiceFacts *f);
/* Takes what a look has found. True when what is told about the service has changed. */
bool service_note(ServiceRecord *r, const ServiceTimes *t, const ServiceFacts *f, usec_t now, usec_t wall);
/* Another container, or another deployment: what is known of the one before does not count. */
void service_renew(ServiceRecord *r, bool deployed);
/* It is not deployed any more: that ends its trouble, too. */
void service_remove(ServiceRecord *r, usec_t wall);
bool service_in_trouble(const ServiceRecord *r);

/* What to do now. With SERVICE_STEP_NONE *ret_again says when something may be due (a look, or a step); USEC_INFINITY: never. */
ServiceStep service_next(const ServiceRecord *r, const ServiceTimes *t, usec_t now, usec_t *ret_again);
void service_took(ServiceRecord *r, const ServiceTimes *t, ServiceStep step, usec_t now);

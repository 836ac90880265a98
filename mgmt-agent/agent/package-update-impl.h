/* SPDX-License-Identifier: MIT */
/* What the files of package-update.h share. */
#pragma once

#include "lib/data/agent-update.h"
#include "lib/event/config-watch.h"
#include "lib/event/process.h"
#include "mgmt-agent/agent/package-update.h"

#define PLAN_GOOD 200

typedef enum PackageStep {
    PACKAGE_STEP_ORDER,   /* of its first package */
    PACKAGE_STEP_SECOND,  /* the other package, once the first one has proved itself */
    PACKAGE_STEP_VERDICT, /* keep or back */
} PackageStep;

struct PackageUpdate {
    Agent *agent;
    ConfigWatch *watch;
    sd_event_source *timer;
    AgentUpdate journal; /* as the script left it */
    char *told;          /* the id of the last whose end was told */
    char *boot;
    usec_t link_up_since; /* of mgmt-link's tunnel; 0 = down */
    usec_t ask_again, plan_again;

    cJSON *order; /* one that is being prepared: NULL = none */
    ControlClient *asker;

    Runner *planner;
    unsigned plan_status; /* of the last dry plan */

    Process *starter;   /* systemd-run, which ends when the script has begun */
    char *starter_said; /* its first line */
    PackageStep starts;
};

/* package-plan.c: a dry plan of what runs, by a worker; package_plan_ended() follows, with plan_status set. */
int package_plan_start(PackageUpdate *p, Error *err) _must_check_;

/* package-start.c: the script of root's in a unit of its own. package_start_ended() follows: err NULL, it runs, and an order is in
 * its journal. */
typedef struct UpdateRequest {
    const char *package, *to, *id, *number, *next;
    bool tunnel, recovery; /* as in the journal */
    unsigned plan, seconds;
} UpdateRequest;

/* next NULL: it is the second package. */
int package_start_run(PackageUpdate *p, const UpdateRequest *run, Error *err) _must_check_;
/* verb: keep or back. */
int package_start_verdict(PackageUpdate *p, const char *verb, const char *package, Error *err) _must_check_;
/* agent-update.start: what did not begin, and what holds therefore. Pure. */
int package_start_failed(PackageStep what, const char *why, Error *err);

/* package-update.c */
void package_plan_ended(PackageUpdate *p);
void package_start_ended(PackageUpdate *p, const Error *err, int r);
/* Reads the journal and does what follows. */
void package_update_look(PackageUpdate *p);

/* package-result.c: whether the cloud ordered it. */
bool package_is_from_cloud(const char *number);
/* How far the journal's update is. */
void package_progress_tell(const PackageUpdate *p, ControlClient *to);
/* Tells how the journal's update ended, once. */
void package_result_tell(PackageUpdate *p);
/* Of an order that was not begun. */
void package_result_refuse(const PackageUpdate *p, int status, const Error *err, int r);

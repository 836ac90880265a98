/* SPDX-License-Identifier: MIT */
/* What a worker can be asked to do, as a table; each job prints message lines and ends. */
#pragma once

#include "mgmt-agent/worker/phases/deploy.h"

typedef struct Job {
    const char *name;
    /* `request` is what the agent wrote to standard input; the result is the exit status: 0 done, 1 not. */
    int (*run)(Deploy *d, const cJSON *request);
    const char *help;
    bool
        changes; /* what runs, or the journal: one such job at a time, whoever asks for it (mgmt-agent/state/change-guard.h) */
} Job;

extern const Job jobs[]; /* ends with {} */

/* jobs.c: what the journal says is under way is made final, taken back, or finished one way or the other. Nothing is done, and 0
 * returned, where another process has ended it. */
int job_commit(Deploy *d, const cJSON *request);
int job_undo(Deploy *d, const cJSON *request);
int job_recover(Deploy *d, const cJSON *request);

/* guard.c */
int job_guard(Deploy *d, const cJSON *request);

/* boot-containers.c */
int job_start(Deploy *d, const cJSON *request);
/* Those of `only`, or all when it is NULL, that were running when they were proved; `why` stands behind what is reported. How many
 * could not be started. */
int start_containers(Deploy *d, const Current *current, const cJSON *only, const char *why);

/* container-orders.c */
int job_restart(Deploy *d, const cJSON *request);
int job_revive(Deploy *d, const cJSON *request);
int job_facts(Deploy *d, const cJSON *request);
int job_recreate(Deploy *d, const cJSON *request);

/* doctor-job.c */
int job_doctor(Deploy *d, const cJSON *request);

/* health-checks.c */
int job_check_health(Deploy *d, const cJSON *request);

/* project-orders.c */
int job_project(Deploy *d, const cJSON *request);

/* read-logs.c */
int job_logs(Deploy *d, const cJSON *request);

/* slow-health.c */
int job_health(Deploy *d, const cJSON *request);

/* status.c */
int job_status(Deploy *d, const cJSON *request);

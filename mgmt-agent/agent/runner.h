/* SPDX-License-Identifier: MIT */
/* Runs mgmt-worker for one job and hands its message lines over. */
#pragma once

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "lib/base/clock.h"
#include "lib/data/json.h"

typedef struct Runner Runner;

typedef struct RunnerOptions {
    const char *worker;     /* path of mgmt-worker */
    char *const *arguments; /* options for it; borrowed for good */
    bool in_unit;           /* each in a transient unit, see worker-unit.h */
    usec_t timeout_usec;    /* 0: WORKER_HOURS_MAX */
} RunnerOptions;

typedef void (*runner_message_t)(Runner *r, const cJSON *message, void *userdata);
/* ok: the worker ended by itself with 0 or 1; otherwise it crashed, hung or could not be started. */
typedef void (*runner_done_t)(Runner *r, int ok, int exit_status, void *userdata);

/* Starts `job` with the request on its standard input. Callbacks run from the loop; on_done once and last. Freeing ends the
 * worker and silences. */
int runner_start(sd_event *event, const RunnerOptions *options, const char *job, const cJSON *request,
                 runner_message_t on_message, runner_done_t on_done, void *userdata, Runner **ret,
                 Error *err) _must_check_;
const char *runner_job(const Runner *r);
/* While held, its message lines wait, and so does the worker once its pipe is full. */
void runner_hold(Runner *r, bool held);
Runner *runner_free(Runner *r);
DEFINE_CLEANUP(Runner, runner_free)

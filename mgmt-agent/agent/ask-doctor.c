/* SPDX-License-Identifier: MIT */
/* doctor.ask: a worker of its own, beside the questions that wait in a row, because the doctor asks one of those itself. */

#include <errno.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "mgmt-agent/agent/agent.h"

#define TIMEOUT (120 * USEC_PER_SEC) /* the worker ends it before */

static cJSON *make_report(const char *id, const cJSON *said)
{
    static const char *const members[] = { "exitCode", "report" };
    _cleanup_(cJSON_Deletep) cJSON *m = message_new("doctor.report");
    char at[TIMESTAMP_SIZE];

    if (!m || json_add_string(m, "id", id) < 0 || json_add_string(m, "at", timestamp_format(realtime_usec(), at)) < 0)
        return NULL;
    for (size_t i = 0; i < ELEMENTSOF(members); i++)
        if (json_add_item(m, members[i], cJSON_Duplicate(cJSON_GetObjectItemCaseSensitive(said, members[i]), 1)) < 0)
            return NULL;
    return TAKE_PTR(m);
}

/* It is passed on when the worker has ended: whoever has an answer may ask again at once. */
static void on_worker_message(Runner *r, const cJSON *message, void *userdata)
{
    Agent *a = userdata;

    (void) r;
    if (str_equal(json_string(message, "type"), "worker.doctor") && !a->doctor.said)
        a->doctor.said = cJSON_Duplicate(message, true);
}

static void on_worker_done(Runner *r, int ok, int exit_status, void *userdata)
{
    Agent *a = userdata;
    const cJSON *said = a->doctor.said, *error = cJSON_GetObjectItemCaseSensitive(said, "error");
    _cleanup_(cJSON_Deletep) cJSON *report = said && !error ? make_report(a->doctor.id, said) : NULL;
    _cleanup_(error_done) Error err = {};

    (void) r;
    (void) ok;
    (void) exit_status;
    if (report) {
        control_send(a->doctor.asker, report);
    } else {
        int k = error ? json_to_error(error, EIO, &err)
                      : error_set(&err, EIO, "worker.failed",
                                  "the worker for 'doctor' ended without an answer; see the agent's log");

        control_send_error(a->doctor.asker, a->doctor.id, &err, k);
    }
    agent_doctor_done(a);
}

void agent_doctor_done(Agent *a)
{
    a->doctor.runner = runner_free(a->doctor.runner);
    cJSON_Delete(a->doctor.said);
    a->doctor.said = NULL;
    free(a->doctor.id);
    a->doctor.id = NULL;
    a->doctor.asker = NULL;
}

static int start(Agent *a, const char *id, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *nothing = cJSON_CreateObject();
    RunnerOptions options = a->runner_options;

    if (a->doctor.runner)
        return error_set(err, EBUSY, "agent.busy", "this box's doctor is at work already: ask again in a moment");
    options.timeout_usec = TIMEOUT;
    a->doctor.id = strdup(id);
    if (!nothing || !a->doctor.id)
        return -ENOMEM;
    return runner_start(a->event, &options, "doctor", nothing, on_worker_message, on_worker_done, a, &a->doctor.runner,
                        err);
}

void agent_handle_doctor(Agent *a, ControlClient *c, const cJSON *message)
{
    const char *id = json_string(message, "id");
    _cleanup_(error_done) Error err = {};
    int r = start(a, id, &err);

    if (r == 0) {
        a->doctor.asker = c;
        return;
    }
    control_send_error(c, id, &err, r);
    if (!a->doctor.runner)
        agent_doctor_done(a);
}

/* SPDX-License-Identifier: MIT */
/* logs.read: a worker for each reader, beside deployments and questions, since some of them go on for hours. Who does not read
 * makes the worker wait, and with it podman: nothing piles up here. */

#include <errno.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "mgmt-agent/agent/agent.h"

#define WAITING_MAX (256 * 1024)
/* The worker ends by itself before. */
#define TIMEOUT (LOG_HOURS_MAX * USEC_PER_HOUR + 10 * USEC_PER_MINUTE)

struct LogReader {
    Agent *agent;
    Runner *runner;
    ControlClient *asker;
    char *id;
    bool ended; /* the worker has said so */
};

static void reader_free(LogReader *l)
{
    for (size_t i = 0; i < LOG_READERS_MAX; i++)
        if (l->agent->log_readers[i] == l)
            l->agent->log_readers[i] = NULL;
    runner_free(l->runner);
    free(l->id);
    free(l);
}

/* The worker's message, which has no id. */
static void pass(const LogReader *l, const cJSON *message)
{
    _cleanup_(cJSON_Deletep) cJSON *m = cJSON_Duplicate(message, 1);

    if (m && json_add_string(m, "id", l->id) == 0)
        control_send(l->asker, m);
}

static void on_worker_message(Runner *r, const cJSON *message, void *userdata)
{
    LogReader *l = userdata;
    const char *type = json_string(message, "type");

    if (!str_equal(type, "logs.lines") && !str_equal(type, "logs.end"))
        return;
    l->ended = l->ended || str_equal(type, "logs.end");
    pass(l, message);
    if (control_waiting(l->asker) > WAITING_MAX)
        runner_hold(r, true);
}

static void on_worker_done(Runner *r, int ok, int exit_status, void *userdata)
{
    LogReader *l = userdata;

    (void) r;
    (void) ok;
    (void) exit_status;
    if (!l->ended) {
        _cleanup_(error_done) Error err = {};
        int k = error_set(&err, EIO, "worker.failed",
                          "the worker for 'logs' ended without a word; the agent's log on the box says more");

        control_send_error(l->asker, l->id, &err, k);
    }
    reader_free(l);
}

static int start(LogReader *l, const cJSON *message, Error *err)
{
    RunnerOptions options = l->agent->runner_options;

    options.timeout_usec = TIMEOUT;
    l->id = strdup(json_string(message, "id"));
    return l->id ? runner_start(l->agent->event, &options, "logs", message, on_worker_message, on_worker_done, l,
                                &l->runner, err)
                 : -ENOMEM;
}

static int take(Agent *a, ControlClient *c, const cJSON *message, Error *err)
{
    const char *project;
    size_t slot = 0;
    LogReader *l;
    int r = agent_project_of(message, &project, err);

    if (r < 0)
        return r;
    if (control_client_is_link(c))
        return error_set(err, EPROTO, "logs.way", "logs are read over a connection of their own");
    while (slot < LOG_READERS_MAX && a->log_readers[slot])
        slot++;
    if (slot == LOG_READERS_MAX)
        return error_set(err, EBUSY, "logs.busy", "%d logs of this box are being read already: end one of them",
                         LOG_READERS_MAX);
    l = calloc(1, sizeof(*l));
    if (!l)
        return -ENOMEM;
    l->agent = a;
    l->asker = c;
    a->log_readers[slot] = l;
    r = start(l, message, err);
    if (r < 0)
        reader_free(l);
    return r;
}

void agent_handle_logs(Agent *a, ControlClient *c, const cJSON *message)
{
    const char *person = json_string(message, "person");
    _cleanup_(error_done) Error err = {};
    int r = take(a, c, message, &err);

    if (r < 0)
        control_send_error(c, json_string(message, "id"), &err, r);
    else
        log_notice("[logs] %.64s reads what service %.64s writes", person ? person : "root",
                   json_string(message, "service"));
}

void agent_logs_gone(Agent *a, const ControlClient *c)
{
    for (size_t i = 0; i < LOG_READERS_MAX; i++)
        if (a->log_readers[i] && (!c || a->log_readers[i]->asker == c))
            reader_free(a->log_readers[i]);
}

void agent_logs_drained(const Agent *a, const ControlClient *c)
{
    for (size_t i = 0; i < LOG_READERS_MAX; i++)
        if (a->log_readers[i] && a->log_readers[i]->asker == c)
            runner_hold(a->log_readers[i]->runner, false);
}

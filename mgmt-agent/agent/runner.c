/* SPDX-License-Identifier: MIT */
/* A worker that hangs is ended by its deadline: the agent itself never waits for podman. */

#include "mgmt-agent/agent/runner.h"

#include <errno.h>
#include <string.h>
#include <sys/wait.h>

#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "lib/event/process.h"
#include "mgmt-agent/agent/worker-unit.h"

#define WORKER_TRY_AGAIN 2 /* it has said why itself */

struct Runner {
    Process *process;
    char *job;
    runner_message_t on_message;
    runner_done_t on_done;
    void *userdata;
};

static void on_line(Process *p, ProcessStream stream, const char *line, void *userdata)
{
    Runner *r = userdata;
    _cleanup_(cJSON_Deletep) cJSON *message = NULL;

    (void) p;
    if (stream == PROCESS_STDERR) {
        log_relay("worker", line);
        return;
    }
    if (json_parse_object(line, strlen(line), &message, NULL) == 0)
        r->on_message(r, message, r->userdata);
    else
        log_warning("The worker printed a line that is no message, ignoring it");
}

static void on_exit_of(Process *p, int status, bool timed_out, void *userdata)
{
    Runner *r = userdata;
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    _cleanup_(freep) char *ended = process_status_string(status, timed_out);

    (void) p;
    if (timed_out || code < 0 || code > WORKER_TRY_AGAIN)
        log_error("The worker for '%s' ended abnormally: %s", r->job, ended ? ended : "unknown");
    r->on_done(r, !timed_out && (code == 0 || code == 1), code, r->userdata);
}

Runner *runner_free(Runner *r)
{
    if (!r)
        return NULL;
    process_free(r->process);
    free(r->job);
    free(r);
    return NULL;
}

const char *runner_job(const Runner *r)
{
    return r->job;
}

void runner_hold(Runner *r, bool held)
{
    process_hold(r->process, held);
}

static int command_line(const RunnerOptions *options, const char *job, char ***argv)
{
    int k = options->in_unit ? worker_unit_argv(argv, job) : 0;

    if (k == 0)
        k = strv_add(argv, options->worker);
    if (k == 0 && options->in_unit)
        k = strv_add(argv, "--follow-reader");
    for (char *const *a = options->arguments; k == 0 && a && *a; a++)
        k = strv_add(argv, *a);
    return k == 0 ? strv_add(argv, job) : k;
}

static int environment(char ***env)
{
    int k = strv_add(env, LOG_RELAY_VARIABLE "=1");

    for (char *const *e = environ; k == 0 && *e; e++)
        k = strv_add(env, *e);
    return k;
}

int runner_start(sd_event *event, const RunnerOptions *options, const char *job, const cJSON *request,
                 runner_message_t on_message, runner_done_t on_done, void *userdata, Runner **ret, Error *err)
{
    _cleanup_(runner_freep) Runner *r = calloc(1, sizeof(*r));
    _cleanup_(strv_freep) char **argv = NULL, **env = NULL;
    _cleanup_(cJSON_Deletep) cJSON *with_environment = options->in_unit ? worker_unit_request(request) : NULL;
    _cleanup_(freep) char *input = json_print(options->in_unit ? with_environment : request);
    ProcessSpec spec = { .timeout_usec =
                             options->timeout_usec ? options->timeout_usec : WORKER_HOURS_MAX * USEC_PER_HOUR,
                         .keep_with_parent = true,
                         .line_max = JSON_SIZE_MAX };
    int k;

    if (!r || !input || command_line(options, job, &argv) < 0 || environment(&env) < 0 || !(r->job = strdup(job)))
        return error_set(err, ENOMEM, "worker.start", "no memory");
    r->on_message = on_message;
    r->on_done = on_done;
    r->userdata = userdata;
    spec.argv = (const char *const *) argv;
    spec.env = (const char *const *) env;
    spec.input = input;
    spec.input_len = strlen(input);
    k = process_spawn(event, &spec, on_line, on_exit_of, r, &r->process, err);
    if (k < 0)
        return error_prefix(err, k, "starting the worker for '%s'", job);
    *ret = TAKE_PTR(r);
    return 0;
}

/* SPDX-License-Identifier: MIT */
/* mgmt-worker: one job for mgmt-agent, then gone. It may block; the agent's loop may not. */

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/cli/cli.h"
#include "mgmt-agent/state/change-guard.h"
#include "mgmt-agent/state/project.h"
#include "mgmt-agent/state/worker-request.h"
#include "mgmt-agent/worker/engine/engine.h"
#include "mgmt-agent/worker/jobs/jobs.h"
#include "mgmt-agent/worker/phases/deploy.h"
#include "mgmt-agent/worker/reader-watch.h"

static const char *opt_root, *opt_project, *opt_podman_compose, *opt_settle = "5", *opt_pull_timeout = "1800",
                                                                *opt_parallel = "4", *opt_pace = "1";

static bool opt_follow_reader;

static const CliOption options[] = {
    { "root", "DIR", "prefix of all paths", .text = &opt_root },
    { "project", "NAME", "compose project name (secbox)", .text = &opt_project },
    { "podman-compose", "FILE", "the podman-compose to drive", .text = &opt_podman_compose },
    { "settle", "SECONDS", "how long new containers must stay up (5)", .text = &opt_settle },
    { "pull-timeout", "SECONDS", "how long one image may take (1800)", .text = &opt_pull_timeout },
    { "parallel", "N", "containers made at the same time (4)", .text = &opt_parallel },
    { "guard-pace", "N", "how many times as fast the guard is (1)", .text = &opt_pace },
    { "follow-reader", NULL, "end when nobody reads standard output any more", .flag = &opt_follow_reader },
    {},
};

/* The request: one JSON object on standard input, to its end. */
static int read_request(cJSON **ret, Error *err)
{
    Buf b = BUF_INIT(JSON_SIZE_MAX * 2);
    ssize_t n = 1;
    int r = 0;

    while (n > 0 && r == 0) {
        char piece[16384];

        n = read(STDIN_FILENO, piece, sizeof(piece));
        if (n > 0)
            r = buf_append(&b, piece, (size_t) n);
    }
    if (r == 0)
        r = json_parse_object(b.data ? b.data : "", b.len, ret, err);
    buf_done(&b);
    return r;
}

/* For as long as this process lives; jobs that go on with what the journal says take its project. */
static int take_project(const cJSON *request, Error *err)
{
    const char *name = json_string(request, WORKER_PROJECT);
    int r = name ? project_name_check(name, err) : 0;

    if (r == 0)
        (void) project_enter(name);
    return r;
}

static int run(const Job *job, const WorkerOptions *worker_options)
{
    _cleanup_(deploy_done) Deploy d = { .options = worker_options };
    _cleanup_(cJSON_Deletep) cJSON *request = NULL;
    _cleanup_(error_done) Error err = {};
    _cleanup_(closep) int lock = -1;
    int r = opt_follow_reader ? reader_watch_start() : 0, locked = 0;

    if (r == 0)
        r = read_request(&request, &err);
    if (r == 0)
        r = podman_user_take_environment(cJSON_GetObjectItemCaseSensitive(request, WORKER_ENVIRONMENT));
    if (r == 0)
        r = take_project(request, &err);
    if (r < 0) {
        log_failure(LOG_LEVEL_ERROR, NULL, &err, r, "Cannot read the job");
        return EXIT_USAGE;
    }
    /* It ends with this process. Without it the work is still done: nothing may be left half-made because of a file. */
    if (job->changes)
        locked = change_lock(true, &lock, &err);
    if (locked < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, &err, locked, "Going on without the lock");
    return job->run(&d, request);
}

int main(int argc, char **argv)
{
    static const Cli cli = { .program = "mgmt-worker",
                             .summary = "Does one job for mgmt-agent; not for people.",
                             .options = options,
                             .max_args = 1 };
    _cleanup_(freep) char **args = NULL;
    WorkerOptions worker_options = {};
    uint64_t settle, pull_timeout, parallel, pace;
    int r = cli_parse(&cli, argc, argv, &args);

    if (r >= 0)
        return r;
    log_open("mgmt-worker");
    (void) signal(SIGPIPE, SIG_IGN);
    if (opt_root)
        paths_set_root(opt_root);
    if (str_to_u64(opt_settle, 0, 3600, &settle) < 0 || str_to_u64(opt_pull_timeout, 1, 86400, &pull_timeout) < 0 ||
        str_to_u64(opt_parallel, 1, ENGINE_PARALLEL_MAX, &parallel) < 0 || str_to_u64(opt_pace, 1, 1000, &pace) < 0) {
        fprintf(stderr, "mgmt-worker: --settle, --pull-timeout, --parallel and --guard-pace take whole numbers\n");
        return EXIT_USAGE;
    }
    project_set_own(opt_project);
    worker_options = (WorkerOptions) { .podman_compose = opt_podman_compose,
                                       .settle_usec = settle * USEC_PER_SEC,
                                       .pull_timeout_usec = pull_timeout * USEC_PER_SEC,
                                       .parallel = (unsigned) parallel,
                                       .pace = (unsigned) pace };
    for (const Job *job = jobs; job->name; job++)
        if (str_equal(job->name, args[0]))
            return run(job, &worker_options);
    fprintf(stderr, "mgmt-worker: say which job; mgmt-agent does\n");
    return EXIT_USAGE;
}

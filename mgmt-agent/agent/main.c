/* SPDX-License-Identifier: MIT */
/* mgmt-agent: the only program that changes the box. */

#include <malloc.h>
#include <stdio.h>

#include "lib/cli/cli.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/event/daemon.h"
#include "lib/event/saver.h"
#include "mgmt-agent/agent/agent.h"
#include "mgmt-agent/agent/agent-self-check.h"
#include "mgmt-agent/state/project.h"

static const char *opt_pace;
static const char *opt_root, *opt_worker, *opt_link_user, *opt_recovery_user, *opt_project, *opt_podman_compose,
    *opt_settle, *opt_save, *opt_pull_timeout, *opt_poll_interval;

static const CliOption options[] = {
    { "root", "DIR", "prefix of all paths (SECBOX_ROOT)", .text = &opt_root },
    { "worker", "FILE", "mgmt-worker (default: beside this program)", .text = &opt_worker },
    { "link-user", "NAME", "user that may speak as mgmt-link (mgmt-link)", .text = &opt_link_user },
    { "recovery-user", "NAME", "user that may speak as recovery-agent (secbox-recovery)", .text = &opt_recovery_user },
    { "project", "NAME", "compose project name (secbox)", .text = &opt_project },
    { "podman-compose", "FILE", "the podman-compose to drive", .text = &opt_podman_compose },
    { "settle", "SECONDS", "how long new containers must stay up (5)", .text = &opt_settle },
    { "pull-timeout", "SECONDS", "how long pulling one image may take (1800)", .text = &opt_pull_timeout },
    { "watch-pace", "N", "how many times as fast what does not work is judged and tried again (1)", .text = &opt_pace },
    { "save", "FILE", "write standard input to a file durably, and end: what the service does", .text = &opt_save },
    { "poll-interval", "SECONDS", "how often images are looked up (as the env files say)", .text = &opt_poll_interval },
    {},
};

/* Beside our own executable, wherever it is installed. */
static char *default_worker(void)
{
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    size_t len = n > 0 ? (size_t) n : 0;

    while (len > 0 && self[len - 1] != '/')
        len--;
    self[len] = '\0';
    return str_format("%smgmt-worker", self);
}

static int worker_arguments(char ***ret)
{
    const struct {
        const char *name, *value;
    } passed_on[] = {
        { "--root", paths_root() }, { "--project", opt_project },           { "--podman-compose", opt_podman_compose },
        { "--settle", opt_settle }, { "--pull-timeout", opt_pull_timeout },
    };
    int r = 0;

    for (size_t i = 0; r == 0 && i < ELEMENTSOF(passed_on); i++)
        if (!str_empty(passed_on[i].value))
            r = strv_addf(ret, "%s=%s", passed_on[i].name, passed_on[i].value);
    return r;
}

/* The agent is idle nearly always, and what a moment needed is not kept for the next: a large block is a mapping of its own, whose
 * pages count when they are used, and the free end of the heap goes back. */
static void keep_heap_small(void)
{
    (void) mallopt(M_MMAP_THRESHOLD, 32 * 1024);
    (void) mallopt(M_TRIM_THRESHOLD, 32 * 1024);
    (void) mallopt(M_TOP_PAD, 16 * 1024);
}

int main(int argc, char **argv)
{
    static const Cli cli = { .program = "mgmt-agent",
                             .summary = "Keeps the containers of this box as the cloud wants them.",
                             .options = options };
    _cleanup_(sd_event_unrefp) sd_event *event = NULL;
    _cleanup_(agent_freep) Agent *agent = NULL;
    _cleanup_(agent_alive_freep) AgentAlive *alive = NULL;
    _cleanup_(strv_freep) char **arguments = NULL;
    _cleanup_(freep) char *worker = NULL;
    _cleanup_(error_done) Error err = {};
    uint64_t poll_interval = 0, pace = 1;
    int r = cli_parse(&cli, argc, argv, NULL);

    if (r >= 0)
        return r;
    if (opt_save)
        return saver_run(opt_save);
    if (opt_poll_interval && str_to_u64(opt_poll_interval, 1, 31536000, &poll_interval) < 0) {
        fprintf(stderr, "mgmt-agent: --poll-interval takes seconds from 1 to 31536000\n");
        return EXIT_USAGE;
    }
    if (opt_pace && str_to_u64(opt_pace, 1, 1000, &pace) < 0) {
        fprintf(stderr, "mgmt-agent: --watch-pace takes a number from 1 to 1000\n");
        return EXIT_USAGE;
    }
    keep_heap_small();
    log_open("mgmt-agent");
    if (opt_root)
        paths_set_root(opt_root);
    project_set_own(opt_project);
    worker = opt_worker ? str_format("%s", opt_worker) : default_worker();
    r = worker && worker_arguments(&arguments) == 0 ? service_loop_new(&event, &err) : -1;
    if (r >= 0)
        r = agent_new(event,
                      &(AgentOptions) { worker, arguments, opt_link_user, opt_recovery_user,
                                        poll_interval * USEC_PER_SEC, (unsigned) pace },
                      &agent, &err);
    if (r >= 0)
        r = agent_alive_new(event, &alive, &err);
    if (r >= 0)
        r = service_watchdog_start(event, agent_alive_check, alive, &err);
    if (r < 0) {
        log_failure(LOG_LEVEL_ERROR, NULL, &err, r, "Cannot start");
        return EXIT_FAILED;
    }
    service_ready("ready");
    log_info("mgmt-agent %s is ready", SECBOX_VERSION);
    return sd_event_loop(event) < 0 ? EXIT_FAILED : EXIT_OK;
}

/* SPDX-License-Identifier: MIT */
/* recovery-agent: the way into the box that shares nothing with what it rescues. */
#include "lib/cli/cli.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/event/saver.h"
#include "lib/event/daemon.h"
#include "recovery-agent/recovery.h"

#define SELF "/proc/self/exe"

static int run(void)
{
    _cleanup_(sd_event_unrefp) sd_event *event = NULL;
    _cleanup_(recovery_freep) Recovery *recovery = NULL;
    _cleanup_(error_done) Error err = {};
    int r = service_loop_new(&event, &err);
    service_ready("starting"); /* what follows has more to say */
    if (r >= 0)
        r = recovery_new(event, SELF, &recovery, &err);
    if (r >= 0)
        r = service_watchdog_start(event, recovery_is_alive, recovery, &err);
    if (r >= 0)
        r = sd_event_loop(event);
    if (r < 0)
        log_failure(LOG_LEVEL_ERROR, NULL, &err, r, "recovery-agent ends");
    return r < 0 ? EXIT_FAILED : EXIT_OK;
}

int main(int argc, char **argv)
{
    const char *root = NULL, *save = NULL;
    const CliOption table[] = {
        { .name = "root", .value = "DIR", .help = "prefix of all paths (SECBOX_ROOT)", .text = &root },
        { .name = "save",
          .value = "FILE",
          .help = "write standard input to a file durably, and end: what the service does",
          .text = &save },
        {},
    };
    const Cli cli = {
        .program = "recovery-agent",
        .summary = "lets support staff into a box whose main way is wedged, and tries to mend it",
        .options = table,
        .epilog = "The configuration is mgmt-agent.env and recovery.env, from the service manager's credentials or"
                  " /etc/tucomunidad.",
    };
    int r = cli_parse(&cli, argc, argv, NULL);
    if (r >= 0)
        return r;
    if (save)
        return saver_run(save);
    if (root)
        paths_set_root(root);
    log_open("recovery-agent");
    return run();
}

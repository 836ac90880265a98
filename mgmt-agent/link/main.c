/* SPDX-License-Identifier: MIT */
/* mgmt-link: the management tunnel. Holds no right to change anything on the box. */
#include <stddef.h>

#include "lib/cli/cli.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/event/daemon.h"
#include "mgmt-agent/link/link.h"

static int run(const LinkOptions *options)
{
    _cleanup_(sd_event_unrefp) sd_event *event = NULL;
    _cleanup_(link_freep) Link *link = NULL;
    Error err = {};
    int r = service_loop_new(&event, &err);

    if (r >= 0)
        r = link_new(event, options, &link, &err);
    if (r >= 0)
        r = link_start(link, &err);
    if (r >= 0)
        r = service_watchdog_start(event, link_is_alive, link, &err);
    if (r >= 0)
        r = sd_event_loop(event);
    if (r < 0) {
        log_failure(LOG_LEVEL_ERROR, NULL, &err, r, "mgmt-link ends");
        error_done(&err);
        return EXIT_FAILED;
    }
    return r;
}

int main(int argc, char **argv)
{
    const char *root = NULL;
    LinkOptions options = {};
    const CliOption table[] = {
        { .name = "root", .value = "DIR", .help = "prefix of all paths", .text = &root },
        { .name = "user",
          .value = "NAME",
          .help = "read the configuration, then become this user",
          .text = &options.user },
        { .name = "agent-socket", .value = "PATH", .help = "mgmt-agent's socket", .text = &options.agent_socket },
        {},
    };
    const Cli cli = {
        .program = "mgmt-link",
        .summary = "the management tunnel: passes messages between the cloud and mgmt-agent",
        .options = table,
        .epilog = "The configuration is mgmt-agent.env, from the service manager's credentials or /etc/tucomunidad.",
    };
    int r = cli_parse(&cli, argc, argv, NULL);

    if (r >= 0)
        return r;
    if (root)
        paths_set_root(root);
    log_open("mgmt-link");
    return run(&options);
}

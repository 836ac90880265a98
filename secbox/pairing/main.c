/* SPDX-License-Identifier: MIT */
/* secbox-pairing: the page by which a box that belongs to nobody is paired. */
#include <stdio.h>

#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/cli/cli.h"
#include "lib/event/daemon.h"
#include "secbox/pairing/page.h"

static int run(const PageOptions *options)
{
    _cleanup_(sd_event_unrefp) sd_event *event = NULL;
    _cleanup_(page_freep) Page *page = NULL;
    _cleanup_(error_done) Error err = {};
    int r = service_loop_new(&event, &err);

    if (r >= 0)
        r = page_new(event, options, &page, &err);
    if (r >= 0)
        r = service_watchdog_start(event, NULL, NULL, &err);
    if (r >= 0) {
        service_ready("asking mgmt-agent");
        r = sd_event_loop(event);
    }
    if (r < 0)
        log_failure(LOG_LEVEL_ERROR, NULL, &err, r, "secbox-pairing ends");
    return r == 0 ? EXIT_OK : EXIT_FAILED;
}

int main(int argc, char **argv)
{
    const char *root = NULL, *port = NULL, *address = "0.0.0.0";
    const CliOption table[] = {
        { .name = "root", .value = "DIR", .help = "prefix of all paths (SECBOX_ROOT)", .text = &root },
        { .name = "address", .value = "ADDRESS", .help = "where to listen (0.0.0.0)", .text = &address },
        { .name = "port", .value = "PORT", .help = "on which port (8080)", .text = &port },
        {},
    };
    const Cli cli = {
        .program = "secbox-pairing",
        .summary = "the page by which a phone in the box's network pairs the box",
        .options = table,
        .epilog = "It ends by itself when the box is paired. secboxctl pair --show tells its address and PIN.",
    };
    uint64_t number = PAIRING_PORT;
    int r = cli_parse(&cli, argc, argv, NULL);

    if (r >= 0)
        return r;
    if (port && str_to_u64(port, 1, UINT16_MAX, &number) < 0) {
        fprintf(stderr, "secbox-pairing: --port takes a number from 1 to 65535\n");
        return EXIT_USAGE;
    }
    if (root)
        paths_set_root(root);
    log_open("secbox-pairing");
    _cleanup_(freep) char *socket = path_in_root(AGENT_SOCKET_PATH);
    if (!socket)
        return EXIT_FAILED;
    return run(&(PageOptions) { .address = address, .port = (uint16_t) number, .agent_socket = socket });
}

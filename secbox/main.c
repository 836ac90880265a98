/* SPDX-License-Identifier: MIT */
/* secbox: the data plane. */
#include <malloc.h>
#include <stdbool.h>
#include <stdio.h>

#include "lib/cli/cli.h"
#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "lib/event/daemon.h"
#include "secbox/banner.h"
#include "secbox/secbox-config.h"
#include "secbox/device.h"
#include "lib/event/heartbeat-writer.h"

/* What glibc begins with. Told, it stays: by itself it learns of the 16 MB that a PIN takes to check that so much is usual, and
 * gives nothing below twice that back to the system, as long as the program runs. */
#define MMAP_THRESHOLD (128 * 1024)

static int healthcheck(void)
{
    _cleanup_(freep) char *path = config_heartbeat_path();
    Error err = {};
    int r = path ? heartbeat_check(path, boottime_usec(), &err) : -1;

    if (r < 0)
        fprintf(stderr, "secbox: %s\n", error_message(&err, r));
    error_done(&err);
    return r < 0 ? EXIT_FAILED : EXIT_OK;
}

static int serve(const Config *config, Error *err)
{
    _cleanup_(sd_event_unrefp) sd_event *event = NULL;
    _cleanup_(heartbeat_freep) Heartbeat *heartbeat = NULL;
    _cleanup_(data_plane_freep) DataPlane *data = NULL;
    _cleanup_(device_freep) Device *device = NULL;
    int r = service_loop_new(&event, err);

    (void) mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD);
    banner_log(config);

    /* first, since it makes the folder */
    if (r >= 0)
        r = heartbeat_start(event, config->heartbeat, &heartbeat, err);
    if (r >= 0)
        r = data_plane_new(event, config, &data, err);
    if (r >= 0)
        r = device_new(event, config, data, &device, err);
    if (r >= 0)
        heartbeat_depend(heartbeat, device_is_alive, device);
    if (r >= 0)
        r = service_watchdog_start(event, device_is_alive, device, err);
    if (r < 0)
        return r;
    service_ready("running");
    return sd_event_loop(event);
}

static int run(const char *env_file, bool check_only)
{
    _cleanup_(config_done) Config config = {};
    Error err = {};
    int r = config_load(env_file, &config, &err);

    if (!check_only)
        config_tell(r < 0 ? &err : NULL, r);
    if (r >= 0 && check_only)
        printf("configuration ok: device %s, tunnel to %s\n", config.device_id, config.gateway_url);
    else if (r >= 0)
        r = serve(&config, &err);
    if (str_equal(error_id(&err), "stream.tls-files"))
        config_tell(&err, r);
    if (r < 0)
        log_failure(LOG_LEVEL_ERROR, NULL, &err, r, "secbox does not start");
    error_done(&err);
    return r < 0 ? EXIT_FAILED : EXIT_OK;
}

int main(int argc, char **argv)
{
    _cleanup_(freep) char **args = NULL;
    bool check = false;
    const char *env_file = getenv("ENV_FILE");
    const CliOption table[] = {
        { .name = "env-file",
          .value = "FILE",
          .help = "take the configuration from this file (ENV_FILE), over that of the environment",
          .text = &env_file },
        { .name = "check", .help = "check the configuration and end", .flag = &check },
        {},
    };
    const Cli cli = {
        .program = "secbox",
        .summary = "the data plane of a box: device tunnel and health",
        .options = table,
        .max_args = 1,
        .epilog = "secbox healthcheck   whether a running secbox is alive\n"
                  "The configuration is the environment: CLOUD_BASE_URL, DEVICE_ID, BOOTSTRAP, DEVICE_GATEWAY_URL, …",
    };
    int r = cli_parse(&cli, argc, argv, &args);

    if (r >= 0)
        return r;
    log_open("secbox");
    if (!args[0])
        return run(str_empty(env_file) ? NULL : env_file, check);
    if (str_equal(args[0], "healthcheck") && !check)
        return healthcheck();
    fprintf(stderr, "secbox: unexpected argument %s; see secbox --help\n", args[0]);
    return EXIT_USAGE;
}

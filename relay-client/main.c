/* SPDX-License-Identifier: MIT */
/* relay-client: leads a provider's visitors to the box's recordings. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/cli/cli.h"
#include "lib/event/daemon.h"
#include "lib/event/heartbeat-writer.h"
#include "relay-client/relay.h"

#define RUN_DEFAULT "/run/relay-client"
#define EXIT_CONFIG 78 /* as sysexits.h has it: starting it again changes nothing */

typedef struct Options {
    const char *env_file, *run_dir;
    bool check, stay;
} Options;

/* What is in its memory is a secret. */
static void leave_no_core(void)
{
    const struct rlimit none = {};

    (void) setrlimit(RLIMIT_CORE, &none);
    (void) prctl(PR_SET_DUMPABLE, 0);
}

static int beat(sd_event *event, const char *run_dir, Heartbeat **ret, Error *err)
{
    _cleanup_(freep) char *path = path_join(run_dir, "heartbeat");

    return path ? heartbeat_start(event, path, ret, err) : -ENOMEM;
}

/* A second signal does not wait. */
static int on_stop(sd_event_source *source, const struct signalfd_siginfo *info _unused_, void *userdata)
{
    Relay **relay = userdata;
    Relay *r = TAKE_PTR(*relay);

    return r && relay_stop(r) ? 0 : sd_event_exit(sd_event_source_get_event(source), 0);
}

static int run(const Options *o, const RelaySettings *settings, Error *err)
{
    _cleanup_(sd_event_unrefp) sd_event *event = NULL;
    _cleanup_(heartbeat_freep) Heartbeat *heartbeat = NULL;
    _cleanup_(relay_freep) Relay *relay = NULL;
    Relay *to_stop = NULL;
    int r = service_loop_new_stopping(on_stop, &to_stop, &event, err);

    if (r >= 0)
        r = beat(event, o->run_dir, &heartbeat, err);
    if (r >= 0)
        r = relay_new(event, settings, o->run_dir, &relay, err);
    if (r >= 0)
        r = service_watchdog_start(event, NULL, NULL, err);
    if (r < 0)
        return r;
    to_stop = relay;
    service_ready(tunnel_provider_names[settings->provider]);
    return sd_event_loop(event);
}

/* A container engine would start it again at once, for ever; and whoever asks for its state has to be told. */
static int stay_with(const Options *o, const Error *why, int code)
{
    _cleanup_(sd_event_unrefp) sd_event *event = NULL;
    _cleanup_(relay_report_freep) RelayReport *report = NULL;
    int r = service_loop_new(&event, NULL);

    if (r >= 0)
        r = relay_report_new(event, o->run_dir, "none", NULL, &report, NULL);
    if (r < 0)
        return r;
    relay_report_set(report, RELAY_INVALID, why, code);
    return sd_event_loop(event);
}

static int start(const Options *o)
{
    _cleanup_(relay_settings_done) RelaySettings settings = {};
    _cleanup_(error_done) Error err = {};
    int r = relay_settings_load(o->env_file, &settings, &err);

    if (r >= 0 && o->check) {
        printf("configuration ok: provider %s\n", tunnel_provider_names[settings.provider]);
        return EXIT_OK;
    }
    if (r >= 0 && !o->check) {
        log_notice("relay-client %s, provider %s", SECBOX_VERSION, tunnel_provider_names[settings.provider]);
        if (settings.provider == TUNNEL_RATHOLE)
            log_notice("visitors are led to %s:%u", settings.target_host, settings.target_port);
        r = run(o, &settings, &err);
    }
    if (r >= 0)
        return EXIT_OK;
    log_failure(LOG_LEVEL_ERROR, NULL, &err, r, "relay-client does not start");
    if (o->stay && !o->check && stay_with(o, &err, r) >= 0)
        return EXIT_OK;
    return EXIT_CONFIG;
}

/* That the provider is away is no fault of this program, and starting it again would not bring it back. */
static int health(const Options *o)
{
    _cleanup_(freep) char *path = path_join(o->run_dir, RELAY_STATE_NAME);
    _cleanup_(relay_state_done) RelayState s = {};
    _cleanup_(error_done) Error err = {};
    int r = path ? relay_state_read(path, &s, &err) : -ENOMEM;

    if (r < 0) {
        fprintf(stderr, "relay-client: %s\n", error_message(&err, r));
        return EXIT_FAILED;
    }
    bool stale = relay_state_is_stale(&s, boottime_usec());
    printf("%s: %s%s%s\n", s.provider, stale ? "silent" : relay_condition_name(s.condition),
           s.error_message ? ": " : "", s.error_message ? s.error_message : "");
    return stale || s.condition == RELAY_INVALID || s.condition == RELAY_REFUSED ? EXIT_FAILED : EXIT_OK;
}

static const char *variable(const char *name, const char *fallback)
{
    const char *value = getenv(name);

    return str_empty(value) ? fallback : value;
}

int main(int argc, char **argv)
{
    Options o = { .env_file = variable("ENV_FILE", NULL), .run_dir = variable("RELAY_RUN", RUN_DEFAULT) };
    _cleanup_(freep) char **args = NULL;
    const CliOption table[] = {
        { .name = "env-file",
          .value = "FILE",
          .help = "take TUNNEL_ keys from this file (ENV_FILE), over those of the environment",
          .text = &o.env_file },
        { .name = "check", .help = "check the configuration and end", .flag = &o.check },
        { .name = "stay", .help = "stay and say so when it cannot be used, instead of ending", .flag = &o.stay },
        {},
    };
    const Cli cli = {
        .program = "relay-client",
        .summary = "leads the visitors of a relay provider (cloudflare, rathole) to the box's recordings",
        .options = table,
        .max_args = 1,
        .epilog = "relay-client health   how a relay-client that runs here is\n"
                  "Exit status: 0, 1 health is bad, 2 wrong usage, 78 the configuration cannot be used.",
    };
    int r = cli_parse(&cli, argc, argv, &args);

    if (r >= 0)
        return r;
    log_open("relay-client");
    leave_no_core();
    if (!args[0])
        return start(&o);
    if (str_equal(args[0], "health") && !o.check && !o.stay)
        return health(&o);
    fprintf(stderr, "relay-client: unexpected argument %s; see relay-client --help\n", args[0]);
    return EXIT_USAGE;
}

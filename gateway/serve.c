/* SPDX-License-Identifier: MIT */
/* The verb that serves: settings checked, then the loop until a signal ends it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "gateway/communities/box-events.h"
#include "gateway/communities/community-sync.h"
#include "gateway/communities/photos.h"
#include "gateway/http/self-check-port.h"
#include "gateway/gateway.h"
#include "gateway/health/api-metrics.h"
#include "gateway/serve.h"
#include "gateway/sessions/recording-policy.h"
#include "gateway/settings.h"
#include "gateway/sign-in/api-sign-in.h"
#include "gateway/health/relay-checks.h"
#include "gateway/webhooks/webhook-rules.h"
#include "lib/cli/cli.h"
#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "lib/base/token-bucket.h"
#include "lib/event/daemon.h"
#include "lib/http/client.h"
#include "lib/websocket/connection.h"

#define HOURS_MAX 8784         /* a year */
#define IMPORT_MAX_DEFAULT 512 /* MiB */
#define IMPORT_MAX_MAX 4096
#define KEEPALIVE_DEFAULT ((unsigned) (WS_PING_IDLE / USEC_PER_SEC))
#define KEEPALIVE_MIN 5

static int parse_hours(const char *text, const char *option, unsigned *ret, Error *err)
{
    uint64_t hours;
    if (str_to_u64(text, 1, HOURS_MAX, &hours) < 0)
        return error_set(err, EINVAL, "config.hours", "--%s %s: give hours, from 1 to %d", option, text, HOURS_MAX);
    *ret = (unsigned) hours;
    return 0;
}

static int parse_accepts(const char *text, const char *option, unsigned *ret, Error *err)
{
    uint64_t n;
    if (str_to_u64(text, 1, TOKEN_RATE_MAX, &n) < 0)
        return error_set(err, EINVAL, "config.accepts", "--%s %s: give a number of tunnels, from 1 to %llu", option,
                         text, (unsigned long long) TOKEN_RATE_MAX);
    *ret = (unsigned) n;
    return 0;
}

static int parse_between(const char *text, const char *option, unsigned fallback, unsigned min, unsigned max,
                         unsigned *ret, Error *err)
{
    uint64_t n = fallback;
    if (text && str_to_u64(text, min, max, &n) < 0)
        return error_set(err, EINVAL, "config.number", "--%s %s: give a number from %u to %u", option, text, min, max);
    *ret = (unsigned) n;
    return 0;
}

static int parse_number(const char *text, const char *option, unsigned fallback, unsigned max, unsigned *ret,
                        Error *err)
{
    return parse_between(text, option, fallback, 1, max, ret, err);
}

/* Every tunnel is a descriptor; the usual soft limit of 1024 is there for programs that use select(2). */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        log_warning("the limit of open files stays as it is: %s", strerror(errno));
}

static int read_options(const Settings *s, GatewayOptions *ret, Error *err)
{
    *ret = (GatewayOptions) {
        .listen = s->listen,
        .database = s->database,
        .state_dir = s->state,
        .signer = s->signer,
        .install_dir = s->install_dir,
        .issuer = s->issuer,
        .cert = s->cert,
        .key = s->key,
        .proxy_protocol = s->proxy_protocol,
        .forwarded_for = s->forwarded_for,
        .metrics_token = getenv(METRICS_TOKEN_VARIABLE),
        .webhook_ca = s->webhook_ca,
        .webhook_networks = s->webhook_networks,
        .relay_ca = s->relay_ca,
        .relay_networks = s->relay_networks,
        .two_person = s->two_person,
        .oidc_issuer = s->oidc_issuer,
        .oidc_client = s->oidc_client,
        .oidc_roles = s->oidc_roles,
        .oidc_claim = s->oidc_claim,
        .oidc_name = s->oidc_name,
        .oidc_ca = s->oidc_ca,
    };
    /* the signer's, which would say it later, and to fewer */
    RecordingPolicy recording;
    int p = recording_policy_read(getenv(RECORD_SESSIONS_VARIABLE), getenv(AUDITOR_KEY_VARIABLE), &recording, err);
    if (p < 0)
        return p;
    if (!s->state)
        return error_set(err, EINVAL, "config.state", "--state DIR is needed: the signing key is kept there");
    int r = s->issuer ? url_check(s->issuer, "https,http", err) : 0;
    if (r < 0)
        return error_prefix(err, r, "--issuer");
    r = parse_hours(s->token_hours, "token-hours", &ret->token_hours, err);
    if (r >= 0)
        r = parse_hours(s->bootstrap_hours, "bootstrap-hours", &ret->bootstrap_hours, err);
    if (r >= 0)
        r = parse_accepts(s->accept_rate, "accept-rate", &ret->accept_rate, err);
    if (r >= 0)
        r = parse_accepts(s->accept_burst ? s->accept_burst : s->accept_rate, "accept-burst", &ret->accept_burst, err);
    if (r >= 0)
        r = parse_number(s->webhook_tries, "webhook-tries", WEBHOOK_TRIES_DEFAULT, WEBHOOK_TRIES_MAX,
                         &ret->webhook_tries, err);
    if (r >= 0)
        r = parse_between(s->relay_check, "relay-check", RELAY_CHECK_SECONDS_DEFAULT, 0, RELAY_CHECK_SECONDS_MAX,
                          &ret->relay_seconds, err);
    if (r >= 0)
        r = parse_between(s->keepalive, "keepalive", KEEPALIVE_DEFAULT, KEEPALIVE_MIN, KEEPALIVE_DEFAULT,
                          &ret->keepalive_seconds, err);
    if (r >= 0)
        r = parse_number(s->photo_days, "photo-days", PHOTO_DAYS_DEFAULT, PHOTO_DAYS_MAX, &ret->photo_days, err);
    if (r >= 0)
        r = parse_between(s->event_days, "event-days", EVENT_DAYS_DEFAULT, EVENT_DAYS_MIN, EVENT_DAYS_MAX,
                          &ret->event_days, err);
    if (r >= 0)
        r = parse_number(s->bans_behind, "bans-behind", BANS_BEHIND_MINUTES_DEFAULT, BANS_BEHIND_MINUTES_MAX,
                         &ret->bans_behind_minutes, err);
    if (r >= 0)
        r = parse_number(s->bans_away, "bans-away", BANS_AWAY_HOURS_DEFAULT, BANS_AWAY_HOURS_MAX, &ret->bans_away_hours,
                         err);
    if (r >= 0)
        r = parse_number(s->oidc_hours, "oidc-hours", SIGN_IN_HOURS_DEFAULT, SIGN_IN_HOURS_MAX, &ret->oidc_hours, err);
    unsigned mib = 0;
    if (r >= 0)
        r = parse_number(s->import_max, "import-max", IMPORT_MAX_DEFAULT, IMPORT_MAX_MAX, &mib, err);
    ret->import_bytes = (size_t) mib * 1024 * 1024;
    return r;
}

int verb_serve(int argc _unused_, char **argv _unused_, void *userdata)
{
    _cleanup_(sd_event_unrefp) sd_event *event = NULL;
    _cleanup_(gateway_freep) Gateway *g = NULL;
    _cleanup_(gateway_alive_freep) GatewayAlive *alive = NULL;
    _cleanup_(error_done) Error err = {};
    GatewayOptions options;
    log_open("secbox-gateway");
    int r = read_options(userdata, &options, &err);
    if (r < 0) {
        log_failure(LOG_LEVEL_ERROR, NULL, &err, r, "cannot start");
        return EXIT_USAGE;
    }
    raise_descriptor_limit();
    ws_set_idle_ping(options.keepalive_seconds * USEC_PER_SEC);
    r = service_loop_new(&event, &err);
    if (r >= 0)
        r = gateway_new(event, &options, &g, &err);
    if (r >= 0)
        r = gateway_alive_new(event, options.listen, gateway_port(g), options.cert || options.proxy_protocol, &alive,
                              &err);
    if (r >= 0)
        r = service_watchdog_start(event, gateway_alive_check, alive, &err);
    if (r >= 0) {
        r = sd_event_loop(event);
        if (r < 0)
            error_from_errno(&err, r, "running");
    }
    if (r < 0)
        log_failure(LOG_LEVEL_ERROR, NULL, &err, r, "ending");
    return r < 0 ? EXIT_FAILED : EXIT_OK;
}

/* SPDX-License-Identifier: MIT */
/* link.hello and link.status: who we are and how it stands. */
#include <errno.h>
#include <string.h>

#include "lib/base/fileio.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/data/jwt.h"
#include "lib/event/daemon.h"
#include "lib/net/host-addresses.h"
#include "lib/tunnel/message.h"
#include "mgmt-agent/link/link-impl.h"

#define ADDRESSES_INTERVAL (30 * USEC_PER_SEC)

static int add_token_expiry(const Link *l, cJSON *status)
{
    const char *token = device_tunnel_token(l->tunnel);
    char at[TIMESTAMP_SIZE];
    JwtClaims claims = {};
    int r;

    if (!token || jwt_peek(token, &claims, NULL) < 0)
        return 0;
    r = json_add_string(status, "tokenExpiresAt", timestamp_format(claims.expires_at * USEC_PER_SEC, at));
    jwt_claims_done(&claims);
    return r;
}

int link_add_addresses(const Link *l, cJSON *status)
{
    cJSON *list = cJSON_AddArrayToObject(status, "addresses");
    int r = list ? 0 : -ENOMEM;

    for (char **a = l->addresses; a && *a && r >= 0; a++)
        r = json_append(list, cJSON_CreateString(*a));
    return r;
}

static cJSON *make_status(const Link *l)
{
    _cleanup_(cJSON_Deletep) cJSON *status = message_new("link.status");
    bool connected = device_tunnel_is_up(l->tunnel);
    char since[TIMESTAMP_SIZE], next[TIMESTAMP_SIZE];

    if (!status || json_add_bool(status, "connected", connected) < 0 ||
        json_add_string(status, "since", timestamp_format(l->since, since)) < 0 ||
        json_add_string(status, "gateway", l->config.gateway_url) < 0 || add_token_expiry(l, status) < 0 ||
        link_add_addresses(l, status) < 0)
        return NULL;
    if (!connected && l->fault.id && json_add_item(status, "error", json_from_error(&l->fault, -1)) < 0)
        return NULL;
    if (!connected && l->next_try > 0 && json_add_string(status, "nextTryAt", timestamp_format(l->next_try, next)) < 0)
        return NULL;
    return TAKE_PTR(status);
}

static void send_to_agent(Link *l, const cJSON *message)
{
    _cleanup_(freep) char *text = message ? json_print(message) : NULL;

    if (!text || agent_client_send(l->agent, LINE_SESSION, text, strlen(text)) < 0)
        log_debug("mgmt-agent could not be told how the tunnel stands");
}

/* For those who judge a change by what it did to the tunnel, mgmt-agent and the guard, whether they run or not. */
static void note_down(Link *l)
{
    _cleanup_(freep) char *path = path_in_root(LINK_DOWN_PATH);
    bool up = device_tunnel_is_up(l->tunnel);
    _cleanup_(freep) char *text =
        up ? strdup(LINK_TUNNEL_UP) : str_format("%llu", (unsigned long long) boottime_usec());
    int r;

    if (!path || !text || l->told == (up ? TUNNEL_TOLD_UP : TUNNEL_TOLD_DOWN))
        return;
    /* without a file nobody could tell a tunnel that has come up from a mgmt-link that has just been started */
    r = file_write_atomic(path, text, strlen(text), 0644, (uid_t) -1, (gid_t) -1, NULL);
    if (r < 0)
        log_debug("Cannot note how the tunnel stands: %s", strerror(-r));
    else
        l->told = up ? TUNNEL_TOLD_UP : TUNNEL_TOLD_DOWN;
}

void link_report(Link *l)
{
    _cleanup_(freep) char *sentence = NULL;

    note_down(l);
    if (device_tunnel_is_up(l->tunnel))
        sentence = str_format("connected to %s", l->config.gateway_url);
    else
        sentence = str_format("not connected: %s", l->fault.id ? l->fault.message : "connecting");
    if (sentence)
        service_status(sentence);
    if (agent_client_is_up(l->agent)) {
        _cleanup_(cJSON_Deletep) cJSON *status = make_status(l);

        send_to_agent(l, status);
    }
}

static bool same_list(char *const *a, char *const *b)
{
    size_t n = strv_length(a);

    for (size_t i = 0; i < n; i++)
        if (!str_equal(a[i], b ? b[i] : NULL))
            return false;
    return strv_length(b) == n;
}

static int on_look(sd_event_source *s _unused_, uint64_t usec _unused_, void *userdata)
{
    link_follow_addresses(userdata);
    return 0;
}

void link_follow_addresses(Link *l)
{
    char **now = NULL;
    int r = host_addresses(false, &now);

    if (r < 0)
        log_debug("this machine's addresses cannot be read: %s", strerror(-r));
    else if (same_list(now, l->addresses))
        strv_free(now);
    else {
        strv_free(l->addresses);
        l->addresses = now;
        link_report(l);
    }
    if (timer_arm(l->event, &l->look, ADDRESSES_INTERVAL, on_look, l) < 0)
        log_warning("no timer: this machine's addresses are not followed");
}

void link_greet_agent(Link *l)
{
    _cleanup_(cJSON_Deletep) cJSON *hello = message_new("link.hello");

    if (hello && json_add_string(hello, "program", LINK_PROGRAM) >= 0 &&
        json_add_string(hello, "version", SECBOX_VERSION) >= 0)
        send_to_agent(l, hello);
    link_report(l);
}

/* Ends that somebody asked for are no reason to worry anyone. */
static LogLevel level_of(const Error *err)
{
    return str_equal(err->id, "tunnel.cycle") || str_equal(err->id, "tunnel.goaway") ? LOG_LEVEL_NOTICE
                                                                                     : LOG_LEVEL_WARNING;
}

void link_set_fault(Link *l, const Error *err, int r, const char *decision)
{
    bool was_fault = l->fault.id != NULL;
    bool news = !was_fault || !str_equal(l->fault.id, err ? err->id : NULL) ||
                !str_equal(l->fault.message, err ? err->message : NULL);

    if (err && news) {
        if (!was_fault)
            l->since = realtime_usec();
        (void) error_copy(&l->fault, err);
        log_failure(level_of(err), NULL, err, r, "%s", decision);
    } else if (err) {
        log_debug("%s: %s again", decision, error_id(err));
    } else {
        l->since = realtime_usec();
        error_done(&l->fault);
    }
    link_report(l);
}

/* SPDX-License-Identifier: MIT */
#include "recovery-agent/way-in.h"

#include <errno.h>
#include <string.h>

#include "lib/base/fileio.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/data/ssh-revocations.h"
#include "lib/event/daemon.h"
#include "lib/tunnel/hello.h"
#include "lib/tunnel/key-challenge.h"
#include "lib/tunnel/voucher.h"
#include "recovery-agent/config-choice.h"
#include "recovery-agent/grant.h"
#include "recovery-agent/round.h"
#include "recovery-agent/status.h"

/* For mgmt-agent to vouch for. With each connection, since the folder may be there only then; a box whose mgmt-agent is dead
 * goes on with the key that it has. */
static void offer_key(const Recovery *r)
{
    _cleanup_(freep) char *path = path_in_root(RECOVERY_KEY_OFFER_PATH);
    if (!path || key_offer_write(path, r->key, NULL) < 0)
        log_debug("%s could not be written", path ? path : KEY_OFFER_NAME);
}

static cJSON *answer_challenge(Tunnel *t _unused_, const cJSON *challenge, void *userdata)
{
    const Recovery *r = userdata;
    offer_key(r);
    _cleanup_(cJSON_Deletep) cJSON *hello = hello_new(r->config.device_id, "recovery", "recovery-agent"), *key = NULL;
    _cleanup_(freep) char *jwk = key_jwk(r->key), *proof = NULL;
    if (!hello || !jwk || json_parse_object(jwk, strlen(jwk), &key, NULL) < 0 ||
        challenge_prove(r->key, json_string(challenge, "nonce"), r->config.device_id, &proof) < 0 ||
        json_add_item(hello, "key", TAKE_PTR(key)) < 0 || json_add_string(hello, "proof", proof) < 0 ||
        json_add_string(hello, "bootstrap", r->config.bootstrap) < 0)
        return NULL;
    return TAKE_PTR(hello);
}

/* This tunnel comes up whatever the clock says: with it the box's doctor can tell that the clock is wrong. */
static void leave_time(usec_t server_time)
{
    _cleanup_(freep) char *path = path_in_root(GATEWAY_TIME_PATH);
    _cleanup_(freep) char *text = str_format("%ju %ju\n", (uintmax_t) server_time, (uintmax_t) boottime_usec());
    if (path && text && file_write_atomic(path, text, strlen(text), 0644, (uid_t) -1, (gid_t) -1, NULL) < 0)
        log_debug("%s could not be written", path);
}

static void on_up(Tunnel *t, const cJSON *welcome, void *userdata)
{
    Recovery *r = userdata;
    usec_t server_time = 0;
    if (timestamp_parse(json_string(welcome, "serverTime"), &server_time) == 0)
        leave_time(server_time);
    const char *address = tunnel_address(t);
    log_notice("the recovery tunnel is up, by %s", address ? address : "a proxy");
    free(TAKE_PTR(r->last_fault));
    r->up_since = boottime_usec();
    timer_disarm(r->again);
    if (!r->on_kept)
        config_tell(r, NULL, 0);
    if (!r->was_up)
        config_keep(r);
    r->was_up = true;
    if (state_note_gateway(&r->state, address, server_time / USEC_PER_SEC) > 0)
        (void) recovery_save(r, NULL);
    if (tunnel_set_known(t, (const char *const *) r->state.addresses, r->state.server_time) < 0)
        log_warning("no memory to remember the gateway's address");
    free(TAKE_PTR(r->told));
    recovery_tell(r);
}

static int on_again(sd_event_source *source, uint64_t usec, void *userdata);

static void try_again_later(Recovery *r)
{
    if (timer_arm(r->event, &r->again, r->config.try_other * USEC_PER_SEC, on_again, r) < 0)
        log_error("no memory for another try");
}

static void on_down(Tunnel *t _unused_, int http_status _unused_, usec_t retry_in, const Error *err, void *userdata)
{
    Recovery *r = userdata;
    r->up_since = 0;
    r->main_way.offline_since = 0;
    if (!str_equal(r->last_fault, err->message)) {
        free(r->last_fault);
        r->last_fault = err->message ? strdup(err->message) : NULL;
        log_failure(LOG_LEVEL_WARNING, NULL, err, -EIO, "the recovery tunnel is down and comes back by itself");
    }
    /* no token can be wrong here: a gateway that does not know this way yet may learn it */
    if (retry_in == USEC_INFINITY)
        try_again_later(r);
}

/* Whether it counts, which is said. */
static bool take_grant(Recovery *r, const cJSON *message, uint64_t *seconds)
{
    const GrantView view = { .device = r->config.device_id,
                             .time_floor = r->state.server_time + (boottime_usec() - r->up_since) / USEC_PER_SEC };
    _cleanup_(grant_signed_done) GrantSigned is = {};
    _cleanup_(error_done) Error err = {};
    int k = grant_check_signed(message, &view, seconds, &is, &err);
    r->grant_refused = k < 0 ? error_id(&err) : NULL;
    free(r->refused_session);
    r->refused_session = k < 0 ? strdup(json_string(message, "id")) : NULL;
    if (k < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, &err, k, "a break-glass grant of the cloud does not count");
    else if (is.who)
        log_notice("the break-glass grant is signed by %s, %s%s", is.who,
                   is.account ? "for the account " : "without an account, which then is root",
                   is.account ? is.account : "");
    else
        log_notice("the break-glass grant is taken without a signature: no signers are pinned on this box");
    if (k >= 0) {
        free(r->unsigned_account);
        r->unsigned_account = is.who && !is.account ? strdup(json_string(message, "id")) : NULL;
    }
    return k >= 0;
}

static void take_order(Recovery *r, const cJSON *message)
{
    uint64_t seconds = 0;
    bool break_glass = json_bool(message, "breakGlass", false);
    if (json_u64(message, "seconds", &seconds) < 0 || (break_glass && !take_grant(r, message, &seconds)))
        return;
    log_notice("the cloud opens recovery for %llu s%s: %s", (unsigned long long) seconds,
               break_glass ? ", whatever the main way does" : "", json_string(message, "reason"));
    access_order(&r->access, break_glass, seconds, boottime_usec());
    recovery_tell(r);
}

/* Beside what mgmt-agent has: it may be what this box is rescued from. */
static void take_revocations(Recovery *r, const cJSON *message)
{
    _cleanup_(freep) char *path = path_in_root(RECOVERY_REVOCATIONS_PATH);
    _cleanup_(error_done) Error err = {};
    int k = path ? ssh_revocations_take(path, message, &err) : -ENOMEM;
    if (k < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, &err, k, "which certificates are revoked is not taken");
    recovery_tell(r);
}

static void on_message(Tunnel *t _unused_, const cJSON *message, const char *text _unused_, void *userdata)
{
    const char *type = json_string(message, "type");
    if (str_equal(type, "probe.result"))
        round_take_result(userdata, message);
    else if (str_equal(type, "recovery.open"))
        take_order(userdata, message);
    else if (str_equal(type, "ssh.revocations"))
        take_revocations(userdata, message);
}

static void on_stream(Tunnel *t _unused_, MuxStream *s, const cJSON *open, void *userdata)
{
    Recovery *r = userdata;
    bridge_open(r->bridge, s, open);
}

static const TunnelEvents tunnel_events = {
    .answer_challenge = answer_challenge,
    .on_up = on_up,
    .on_down = on_down,
    .on_message = on_message,
    .on_stream = on_stream,
};

static int connect_tunnel(Recovery *r, Error *err)
{
    const TunnelOptions options = {
        .url = r->config.gateway_url,
        .ca_file = r->config.ca_file,
        .known_addresses = (const char *const *) r->state.addresses,
        .time_floor = r->state.server_time,
        .events = &tunnel_events,
        .userdata = r,
    };
    bridge_end_all(r->bridge);
    r->tunnel = tunnel_free(r->tunnel);
    return tunnel_new(r->event, &options, &r->tunnel, err);
}

static void connect_or_wait(Recovery *r)
{
    _cleanup_(error_done) Error err = {};
    int k = connect_tunnel(r, &err);
    if (k < 0)
        log_failure(LOG_LEVEL_ERROR, NULL, &err, k, "no recovery tunnel; it is tried again");
    if (k < 0 && !r->on_kept)
        config_tell(r, &err, k);
    if (k < 0 || r->other.device_id)
        try_again_later(r);
}

/* Not up for a while: the other configuration, if there is one. */
static int on_again(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    Recovery *r = userdata;
    if (!config_try_other(r) && r->tunnel)
        tunnel_retry(r->tunnel);
    else
        connect_or_wait(r);
    return 0;
}

static int may_open(const cJSON *open, void *userdata, Error *err)
{
    const Recovery *r = userdata;
    if (access_reason(&r->access, boottime_usec()))
        return 0;
    if (r->grant_refused && str_equal(json_string(open, "session"), r->refused_session))
        return error_set(err, EACCES, r->grant_refused, "the break-glass grant does not count on this box");
    return error_set(err, EACCES, "recovery.closed",
                     "the main way works, so recovery is closed: use that, or a break-glass grant");
}

static int open_bridge(Recovery *r, Error *err)
{
    _cleanup_(freep) char *sessions = path_in_root(RECOVERY_SESSIONS_PATH);
    const BridgeTarget targets[] = { { .name = "ssh", .host = "127.0.0.1", .port = (uint16_t) r->config.ssh_port },
                                     {} };
    const BridgeOptions options = {
        .program = "recovery-agent",
        .targets = targets,
        .sessions_path = sessions,
        .may_open = may_open,
        .userdata = r,
    };
    return sessions ? bridge_new(r->event, &options, &r->bridge, err) : -ENOMEM;
}

int way_in_open(Recovery *r, Error *err)
{
    int k = open_bridge(r, err);
    if (k >= 0)
        connect_or_wait(r);
    return k;
}

/* SPDX-License-Identifier: MIT */
/* The tunnel and what is said in it, who is let in, and what is remembered. */
#include "recovery-agent/recovery.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "lib/base/fileio.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/base/redact.h"
#include "lib/base/strv.h"
#include "lib/data/config-fault.h"
#include "lib/data/json.h"
#include "lib/event/daemon.h"
#include "lib/tunnel/hello.h"
#include "lib/tunnel/key-challenge.h"
#include "lib/tunnel/message.h"
#include "recovery-agent/recovery-impl.h"

#define STATE_FOLDER STATE_DIR "/recovery"
#define RECOVERY_ENV_PATH ETC_DIR "/recovery.env"
#define RESTART_SSHD_PATH RUN_DIR "/recovery/restart-sshd"
#define SELF_ROUNDS 3 /* of checks, between two of ourselves */
/* each write is one on a flash disk */
#define SCRATCH_EVERY 4
#define SSHD_FAILURES 2
#define LEAVE_INTERVAL (5 * USEC_PER_SEC)
/* How long a new configuration may try to reach the gateway before the one that worked before gets its turn. */
#define AGAIN_AFTER (2 * USEC_PER_MINUTE)
#define CA_SIZE_MAX (1024 * 1024)

LadderTime recovery_time(const Recovery *r)
{
    uint64_t wall = realtime_usec() / USEC_PER_SEC;
    return (LadderTime) { .boottime = boottime_usec(),
                          .boot_id = r->boot_id,
                          .wall = wall >= r->state.server_time ? wall : 0 };
}

static int save_file(Recovery *r, const char *name, const char *text, saver_done_t on_done)
{
    _cleanup_(freep) char *path = path_join(r->state.folder, name);
    return path && text ? saver_write(r->saver, path, text, on_done, r) : -ENOMEM;
}

int recovery_save(Recovery *r, saver_done_t on_done)
{
    _cleanup_(freep) char *text = state_print(&r->state);
    return save_file(r, "state.json", text, on_done);
}

static void on_config_saved(bool written, void *userdata)
{
    Recovery *r = userdata;
    r->config_kept = written;
}

static int read_authorities(const Config *c, char **ret)
{
    return file_read_followed(c->ca_file, CA_SIZE_MAX, ret, NULL, NULL);
}

/* The gateway has been reached with this configuration: it is the one to come back to. Tried again until it is kept. */
static void save_config(Recovery *r)
{
    _cleanup_(secret_freep) char *text = settings_print(settings, &r->config);
    _cleanup_(freep) char *ca = NULL, *copy = path_join(r->state.folder, "ca.pem");
    bool needs_ca = r->config.ca_file && !str_equal(r->config.ca_file, copy);
    if ((needs_ca && (read_authorities(&r->config, &ca) < 0 || save_file(r, "ca.pem", ca, NULL) < 0)) ||
        save_file(r, "config.env", text, on_config_saved) < 0)
        log_warning("the configuration that works could not be kept yet");
}

/* What is told */

static const char *open_word(const Recovery *r)
{
    const char *reason = access_reason(&r->access, boottime_usec());
    return reason ? reason : "closed";
}

static int add_reasons(const Recovery *r, cJSON *array)
{
    _cleanup_(freep) char *way = str_format("%s tunnel: %s", r->way ? r->way : "device",
                                            r->way_silent ? "connected, but no answer" : "not connected");
    int k = way ? 0 : -ENOMEM;
    if (k >= 0 && verdict_blames(&r->verdict, CHECK_HEARTBEAT))
        k = json_append(array, cJSON_CreateString("heartbeat: no progress"));
    if (k >= 0 && verdict_blames(&r->verdict, CHECK_TUNNEL))
        k = json_append(array, cJSON_CreateString(way));
    for (size_t i = 0; k >= 0 && i < listeners_count(r->listeners); i++) {
        _cleanup_(freep) char *text = str_format("%s: no answer", listeners_name(r->listeners, i));
        if (verdict_blames(&r->verdict, CHECK_LISTENERS + i))
            k = json_append(array, cJSON_CreateString(text ? text : "listener"));
    }
    if (k >= 0 && r->sshd_failures > 0)
        k = json_append(array, cJSON_CreateString("recovery sshd: no answer"));
    if (k >= 0 && r->disk_fault)
        k = json_append(array, cJSON_CreateString("disk: takes nothing"));
    return k;
}

static cJSON *make_budget(const Recovery *r)
{
    _cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
    const LadderTime now = recovery_time(r);
    for (LadderStep step = STEP_RESTART; step < _STEPS; step++)
        if (json_add_int(o, ladder_step_name(step), (int) budget_left(&r->state.budget, step, &now)) < 0)
            return NULL;
    return TAKE_PTR(o);
}

static cJSON *make_status(const Recovery *r)
{
    char since[TIMESTAMP_SIZE];
    _cleanup_(cJSON_Deletep) cJSON *m = message_new("recovery.status");
    cJSON *reasons = cJSON_CreateArray();
    LadderStep step = r->running != STEP_NONE ? r->running : r->ladder.last;
    if (!m || json_add_item(m, "reasons", reasons) < 0 || add_reasons(r, reasons) < 0 ||
        json_add_string(m, "state", verdict_state_name(r->verdict.state)) < 0 ||
        json_add_bool(m, "open", access_reason(&r->access, boottime_usec()) != NULL) < 0 ||
        json_add_string(m, "since", timestamp_format(r->changed_at, since)) < 0 ||
        json_add_string(m, "verdict", open_word(r)) < 0 || json_add_string(m, "step", ladder_step_name(step)) < 0 ||
        json_add_item(m, "budget", make_budget(r)) < 0 || json_add_string(m, "configFault", r->config_fault) < 0)
        return NULL;
    return TAKE_PTR(m);
}

static void tell_here(const cJSON *status)
{
    _cleanup_(freep) char *reasons = json_print(cJSON_GetObjectItemCaseSensitive(status, "reasons"));
    _cleanup_(freep) char *text =
        str_format("main way %s, recovery %s (%s), step %s, %s", json_string(status, "state"),
                   json_bool(status, "open", false) ? "open" : "closed", json_string(status, "verdict"),
                   json_string(status, "step"), reasons ? reasons : "");
    if (!text)
        return;
    service_status(text);
    log_notice("%s", text);
}

void recovery_tell(Recovery *r)
{
    _cleanup_(cJSON_Deletep) cJSON *status = make_status(r);
    char *text = status ? json_print(status) : NULL;
    if (!text || str_equal(text, r->told)) {
        free(text);
        return;
    }
    free(r->told);
    r->told = text;
    tell_here(status);
    if (r->up_since > 0 && tunnel_send(r->tunnel, text, strlen(text)) < 0)
        log_warning("the cloud cannot be told: no room");
}

/* For doctor, for mgmt-agent, and for the cloud, each of which may be the only one that we reach. err NULL: all is well. */
static void tell_config(Recovery *r, const Error *err, int k)
{
    _cleanup_(freep) char *path = path_in_root(RECOVERY_FAULT_PATH);
    free(r->config_fault);
    r->config_fault = err ? strdup(error_message(err, k)) : NULL;
    if (path && config_fault_tell(path, "recovery-agent", err, k) < 0)
        log_debug("%s could not be written", path);
}

/* The tunnel */

static cJSON *answer_challenge(Tunnel *t _unused_, const cJSON *challenge, void *userdata)
{
    const Recovery *r = userdata;
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
    log_notice("the recovery tunnel is up, by %s", tunnel_address(t));
    free(TAKE_PTR(r->last_fault));
    r->up_since = boottime_usec();
    timer_disarm(r->again);
    if (!r->on_kept)
        tell_config(r, NULL, 0);
    if (!r->was_up)
        save_config(r);
    r->was_up = true;
    if (state_note_gateway(&r->state, tunnel_address(t), server_time / USEC_PER_SEC) > 0)
        (void) recovery_save(r, NULL);
    if (tunnel_set_known(t, (const char *const *) r->state.addresses, r->state.server_time) < 0)
        log_warning("no memory to remember the gateway's address");
    free(TAKE_PTR(r->told));
    recovery_tell(r);
}

static int on_again(sd_event_source *source, uint64_t usec, void *userdata);

static void try_again_later(Recovery *r)
{
    if (timer_arm(r->event, &r->again, AGAIN_AFTER, on_again, r) < 0)
        log_error("no memory for another try");
}

static void on_down(Tunnel *t _unused_, int http_status _unused_, usec_t retry_in, const Error *err, void *userdata)
{
    Recovery *r = userdata;
    r->up_since = 0;
    r->offline_since = 0;
    if (!str_equal(r->last_fault, err->message)) {
        free(r->last_fault);
        r->last_fault = err->message ? strdup(err->message) : NULL;
        log_failure(LOG_LEVEL_WARNING, NULL, err, -EIO, "the recovery tunnel is down and comes back by itself");
    }
    /* no token can be wrong here: a gateway that does not know this way yet may learn it */
    if (retry_in == USEC_INFINITY)
        try_again_later(r);
}

static void take_order(Recovery *r, const cJSON *message)
{
    uint64_t seconds = 0;
    bool break_glass = json_bool(message, "breakGlass", false);
    if (json_u64(message, "seconds", &seconds) < 0)
        return;
    log_notice("the cloud opens recovery for %llu s%s: %s", (unsigned long long) seconds,
               break_glass ? ", whatever the main way does" : "", json_string(message, "reason"));
    access_order(&r->access, break_glass, seconds, boottime_usec());
    recovery_tell(r);
}

static void on_message(Tunnel *t _unused_, const cJSON *message, const char *text _unused_, void *userdata)
{
    const char *type = json_string(message, "type");
    if (str_equal(type, "probe.result"))
        round_take_result(userdata, message);
    else if (str_equal(type, "recovery.open"))
        take_order(userdata, message);
}

static void on_stream(Tunnel *t _unused_, MuxStream *s, const cJSON *open, void *userdata)
{
    Recovery *r = userdata;
    bridge_open(r->bridge, s, open);
}

static int may_open(const cJSON *open _unused_, void *userdata, Error *err)
{
    const Recovery *r = userdata;
    if (access_reason(&r->access, boottime_usec()))
        return 0;
    return error_set(err, EACCES, "recovery.closed",
                     "the main way works, so recovery is closed: use that, or a break-glass grant");
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
        tell_config(r, &err, k);
    if (k < 0 || r->other.device_id)
        try_again_later(r);
}

/* The one on the box was tried first. */
static void blame_config(Recovery *r, const Config *box)
{
    _cleanup_(error_done) Error err = {};
    int k = error_set(&err, EHOSTUNREACH, "config.unreachable",
                      "with the configuration of this box no gateway is reached at %s (%s); trying the one that worked "
                      "last: correct mgmt-agent.env or recovery.env",
                      box->gateway_url, r->last_fault ? r->last_fault : "no connection");
    tell_config(r, &err, k);
}

/* Not up for a while: the other configuration, if there is one. */
static int on_again(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    Recovery *r = userdata;
    const Config now = r->config;
    if (!r->other.device_id && r->tunnel) {
        tunnel_retry(r->tunnel);
        return 0;
    }
    if (r->other.device_id) {
        r->config = r->other;
        r->other = now;
        r->on_kept = !r->on_kept;
        if (r->on_kept)
            blame_config(r, &now);
        log_warning("the gateway is not reached: trying the configuration %s",
                    str_equal(r->config.ca_file, now.ca_file) ? "that differs" : "with other authorities");
    }
    connect_or_wait(r);
    return 0;
}

/* The configuration */

static char *config_path(const char *name, const char *path)
{
    const char *folder = getenv("CREDENTIALS_DIRECTORY");
    _cleanup_(freep) char *credential = str_empty(folder) ? NULL : path_join(folder, name);
    return credential && access(credential, F_OK) == 0 ? TAKE_PTR(credential) : path_in_root(path);
}

static int read_config_file(Config *c, const char *name, const char *inside, Error *err)
{
    _cleanup_(freep) char *path = config_path(name, inside);
    _cleanup_(secret_freep) char *text = NULL;
    size_t len = 0;
    int k = path ? file_read(path, ENV_FILE_SIZE_MAX, &text, &len, err) : -ENOMEM;
    if (k == -ENOENT) {
        error_done(err);
        return 0;
    }
    return k < 0 ? k : settings_parse(settings, c, text, len, path, err);
}

/* What is watched is known before it is read. */
static int watch_files(Recovery *r, const char *ca_file)
{
    _cleanup_(freep) char *agent = path_in_root(AGENT_ENV_PATH), *own = path_in_root(RECOVERY_ENV_PATH);
    const char *paths[] = { agent, own, ca_file, NULL };
    return agent && own ? config_watch_set(r->watch, paths) : -ENOMEM;
}

static int read_config(Recovery *r, Config *ret, Error *err)
{
    _cleanup_(config_done) Config c = {};
    int k = settings_init(settings, &c);
    if (k >= 0)
        k = read_config_file(&c, "mgmt-agent.env", AGENT_ENV_PATH, err);
    if (k >= 0)
        k = read_config_file(&c, "recovery.env", RECOVERY_ENV_PATH, err);
    if (k >= 0)
        k = config_check(&c, err);
    if (k >= 0)
        k = watch_files(r, c.ca_file);
    if (k >= 0)
        k = config_check_ca_file(c.ca_file, "recovery-agent", err);
    if (k < 0)
        return k;
    *ret = c;
    c = (Config) {};
    return 0;
}

/* Other authorities under the same name are another configuration, too. */
static bool leads_to_the_same(const Config *a, const Config *b)
{
    _cleanup_(freep) char *ca = NULL, *other = NULL;
    if (!str_equal(a->gateway_url, b->gateway_url) || !str_equal(a->device_id, b->device_id) ||
        !a->ca_file != !b->ca_file)
        return false;
    return !a->ca_file || (read_authorities(a, &ca) >= 0 && read_authorities(b, &other) >= 0 && str_equal(ca, other));
}

/* The one on the box, and beside it the one that worked last; that alone when the former is damaged. */
static int load_config(Recovery *r, Error *err)
{
    _cleanup_(error_done) Error ignored = {};
    _cleanup_(config_done) Config kept = {};
    int k = read_config(r, &r->config, err);
    bool has_kept = state_load_config(&r->state, &kept, &ignored) >= 0;
    tell_config(r, k < 0 ? err : NULL, k);
    if (k < 0 && !has_kept)
        return k;
    if (k < 0) {
        log_failure(LOG_LEVEL_WARNING, NULL, err, k,
                    "the configuration is damaged: going on with the one that worked last");
        error_done(err);
        r->config = kept;
        r->on_kept = true;
        kept = (Config) {};
    } else if (has_kept && !leads_to_the_same(&kept, &r->config)) {
        r->other = kept;
        kept = (Config) {};
    }
    redact_add_secret(r->config.bootstrap);
    return 0;
}

/* The service manager holds the files for us and hands them out anew at a start. Nobody is thrown out for it. */
static int on_leave(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    Recovery *r = userdata;
    if (r->bridge && bridge_sessions(r->bridge) > 0)
        return timer_arm(r->event, &r->leave, LEAVE_INTERVAL, on_leave, r);
    log_notice("the configuration has changed: ending, to be started again with it");
    return sd_event_exit(r->event, 0);
}

static void on_config_changed(void *userdata)
{
    Recovery *r = userdata;
    if (r->bridge && bridge_sessions(r->bridge) > 0)
        log_notice("the configuration has changed: it is taken when the last session here has ended");
    if (timer_arm(r->event, &r->leave, 0, on_leave, r) < 0)
        log_error("no timer: restart recovery-agent, its configuration has changed");
}

/* Life */

static void on_scratch(bool written, void *userdata)
{
    Recovery *r = userdata;
    if (r->disk_fault == written)
        log_warning(written ? "the disk takes files again" : "the disk takes no file: what is remembered may be old");
    r->disk_fault = !written;
}

/* A path unit sees the file and restarts the sshd with all that it needs: letting people in is no use when nothing
 * answers them. */
static void on_sshd(void *userdata)
{
    Recovery *r = userdata;
    _cleanup_(freep) char *path = path_in_root(RESTART_SSHD_PATH);
    _cleanup_(error_done) Error err = {};
    r->asking_sshd = false;
    r->sshd_failures = listeners_good(r->sshd, 0) ? 0 : r->sshd_failures + 1;
    if (r->sshd_failures == 0 || r->sshd_failures % SSHD_FAILURES != 0)
        return;
    log_warning("the recovery sshd does not answer on port %llu: asking for it to be started anew",
                (unsigned long long) r->config.ssh_port);
    int k = path ? file_write_atomic(path, "", 0, 0600, (uid_t) -1, (gid_t) -1, &err) : -ENOMEM;
    if (k < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, &err, k, "that cannot be asked for");
}

static usec_t self_interval(const Recovery *r)
{
    return SELF_ROUNDS * r->config.interval * USEC_PER_SEC;
}

/* Is what we need ourselves there? */
static int on_self(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    Recovery *r = userdata;
    if (r->self_checks++ % SCRATCH_EVERY == 0)
        (void) save_file(r, "scratch", r->boot_id, on_scratch);
    if (r->was_up && !r->config_kept)
        save_config(r);
    if (r->asking_sshd)
        listeners_expire(r->sshd);
    else
        listeners_try(r->sshd, on_sshd, r);
    r->asking_sshd = true;
    return timer_arm(r->event, &r->self_timer, self_interval(r), on_self, r);
}

/* A full disk is no reason to end this process: people come in to make room. A loop that does not turn and a process
 * that gets no socket are; but not where there was never one to get. */
int recovery_is_alive(void *recovery)
{
    Recovery *r = recovery;
    usec_t longest = 3 * (r->config.interval + r->config.probe_timeout + 10) * USEC_PER_SEC;
    return alive_still(&r->alive) && (!r->listeners || boottime_usec() - r->round_ended < longest) &&
           (!r->tunnel || !tunnel_is_overdue(r->tunnel));
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

static int start(Recovery *r, Error *err)
{
    _cleanup_(freep) char *key_path = path_join(r->state.folder, "key.pem");
    int k = key_path ? key_load_or_make(key_path, (uid_t) -1, (gid_t) -1, &r->key, err) : -ENOMEM;
    if (k >= 0)
        k = open_bridge(r, err);
    if (k >= 0)
        k = rounds_start(r, err);
    if (k < 0)
        return k;
    connect_or_wait(r);
    _cleanup_(freep) char *sshd = str_format("banner:127.0.0.1:%llu", (unsigned long long) r->config.ssh_port);
    k = sshd ? listeners_new(r->event, sshd, &r->sshd, err) : -ENOMEM;
    return k < 0 ? k : timer_arm(r->event, &r->self_timer, self_interval(r), on_self, r);
}

static int prepare(Recovery *r, Error *err)
{
    _cleanup_(freep) char *boot_id = boot_id_read(), *folder = path_in_root(STATE_FOLDER);
    _cleanup_(error_done) Error lost = {};
    if (boot_id)
        memcpy(r->boot_id, boot_id, strnlen(boot_id, BOOT_ID_SIZE - 1));
    const LadderTime now = recovery_time(r);
    int k = folder ? state_load(&r->state, folder, &now, &lost) : -ENOMEM;
    if (k == -EIO)
        log_failure(LOG_LEVEL_WARNING, NULL, &lost, k, "what was remembered is lost");
    else if (k < 0)
        return k;
    return saver_new(r->event, r->program, &r->saver, err);
}

int recovery_new(sd_event *event, const char *program, Recovery **ret, Error *err)
{
    _cleanup_(recovery_freep) Recovery *r = calloc(1, sizeof(*r));
    if (!r)
        return error_from_errno(err, -ENOMEM, "starting");
    r->event = sd_event_ref(event);
    r->program = program;
    int k = config_watch_new(event, on_config_changed, r, &r->watch, err);
    if (k >= 0)
        k = watch_files(r, NULL);
    if (k >= 0)
        k = prepare(r, err);
    if (k >= 0)
        k = agent_watch_new(event, &r->up_since, &r->agent_watch, err);
    if (k < 0)
        return error_from_errno(err, k, "starting");
    k = load_config(r, err);
    if (k < 0) {
        /* a box that is not claimed yet: its files will change */
        log_failure(LOG_LEVEL_ERROR, NULL, err, k, "there is no configuration; it is read when the file changes");
        error_done(err);
        _cleanup_(freep) char *status = str_format("waits for a configuration: %s", r->config_fault);
        service_status(status ? status : "waits for a configuration");
    } else {
        k = start(r, err);
        if (k < 0)
            return error_from_errno(err, k, "starting");
    }
    *ret = TAKE_PTR(r);
    return 0;
}

Recovery *recovery_free(Recovery *r)
{
    if (!r)
        return NULL;
    rounds_stop(r);
    agent_watch_free(r->agent_watch);
    bridge_free(r->bridge);
    tunnel_free(r->tunnel);
    loopback_done(&r->alive.loopback);
    saver_free(r->saver);
    sd_event_source_disable_unref(r->again);
    sd_event_source_disable_unref(r->leave);
    config_watch_free(r->watch);
    sd_event_source_disable_unref(r->self_timer);
    listeners_free(r->sshd);
    key_free(r->key);
    state_done(&r->state);
    config_done(&r->config);
    config_done(&r->other);
    free(r->last_fault);
    free(r->told);
    free(r->config_fault);
    sd_event_unref(r->event);
    free(r);
    return NULL;
}

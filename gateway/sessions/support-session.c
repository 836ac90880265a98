/* SPDX-License-Identifier: MIT */
/* Who may open a support session, and who can end it. */
#include "gateway/sessions/support-session.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "gateway/auth/secrets.h"
#include "gateway/sessions/session-end.h"
#include "gateway/sessions/session-record.h"
#include "gateway/sessions/session-relay.h"
#include "gateway/sessions/session-routes.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"

#define NAME_MAX_BYTES 128
#define STORY_MAX 1024

static int judge(SupportSession *v, const StoreRows *rows, Error *err)
{
    GrantExtra extra;
    int r = store_rows_count(rows) > 0 ? grant_row(rows, &v->grant, &extra) : grant_not_found(v->grant_id, err);
    if (r >= 0)
        r = grant_check(&v->grant, v->person, v->device, err);
    if (r >= 0 && !extra.token_good)
        r = error_set(err, EACCES, "operator.revoked", "the token of %s was revoked", v->person);
    return r;
}

static bool counts(const SupportSession *v, const char *person, const char *device)
{
    return v->state != SESSION_ENDED && (!person || str_equal(v->person, person)) &&
           (!device || str_equal(v->device, device));
}

static size_t count_of(const SupportSessions *ss, const char *person, const char *device)
{
    void *value;
    size_t n = 0;
    for (size_t i = 0; map_next(ss->map, &i, NULL, &value);)
        n += counts(value, person, device);
    return n;
}

/* Of those that count, and are not `but`, the open one in which nothing has happened for longest: NULL when there is none. */
static SupportSession *most_silent(const SupportSessions *ss, const char *person, const char *device,
                                   const SupportSession *but)
{
    SupportSession *found = NULL;
    void *value;
    usec_t now = boottime_usec();
    for (size_t i = 0; map_next(ss->map, &i, NULL, &value);) {
        SupportSession *v = value;
        if (v != but && v->state == SESSION_OPEN && counts(v, person, device) &&
            (!found || idle_time(&v->idle, now) > idle_time(&found->idle, now)))
            found = v;
    }
    return found;
}

/* In an emergency there are some more places, and then that of the session that is most likely a dead laptop's. */
static int take_place(SupportSession *v, const char *person, const char *device, size_t max, const char *id, Error *err)
{
    const SupportSessions *ss = v->owner;
    max += v->grant.break_glass ? BRIDGE_SESSIONS_BREAK_GLASS : 0;
    while (count_of(ss, person, device) > max) {
        SupportSession *victim = v->grant.break_glass ? most_silent(ss, person, device, v) : NULL;
        if (!victim)
            return error_set(err, EBUSY, id, "%s has %zu sessions open already", person ? person : device, max);
        support_session_audit_displaced(victim, v);
        support_session_end(victim, "session.displaced", "a break-glass session needed its place");
    }
    return 0;
}

static void on_grant(StoreQuery *q _unused_, int r, const StoreRows *rows, const Error *query_err, void *userdata)
{
    SupportSession *v = userdata;
    _cleanup_(error_done) Error err = {};
    v->query = NULL;
    if (r < 0)
        (void) error_copy(&err, query_err);
    else
        r = judge(v, rows, &err);
    if (r >= 0)
        r = take_place(v, NULL, v->device, BRIDGE_SESSIONS_DEVICE_MAX, "bridge.device-full", &err);
    if (r >= 0)
        r = take_place(v, v->person, NULL, BRIDGE_SESSIONS_PERSON_MAX, "bridge.person-full", &err);
    if (r < 0) {
        support_session_end(v, error_id(&err), error_message(&err, r));
        return;
    }
    v->limits = session_limits_of_grant(boottime_usec(), (usec_t) v->grant.seconds_left * USEC_PER_SEC,
                                        v->grant.idle_seconds * USEC_PER_SEC);
    v->state = SESSION_TRYING;
    if (v->grant.break_glass)
        support_session_tell_recovery(v);
    support_session_try(v);
}

static size_t people(const char *device, void *userdata)
{
    const SupportSessions *ss = userdata;
    size_t n = 0;
    void *value;
    for (size_t i = 0; map_next(ss->map, &i, NULL, &value);) {
        const SupportSession *v = value;
        n += v->state == SESSION_OPEN && str_equal(v->device, device);
    }
    return n;
}

static int admit(SupportSession *v, const cJSON *open, Error *err)
{
    if (!str_equal(json_string(open, "target"), "ssh"))
        return error_set(err, EINVAL, "bridge.no-target", "the targets are ssh and logs");
    if (!device_id_is_valid(v->grant_id))
        return grant_not_found(v->grant_id, err);
    /* whose grant they have, and whether it is an emergency, is known later: so many may be asked about at once */
    if (count_of(v->owner, v->person, NULL) > 2 * BRIDGE_SESSIONS_PERSON_MAX)
        return error_set(err, EBUSY, "bridge.person-full", "%s asks for more than %d sessions at once", v->person,
                         2 * BRIDGE_SESSIONS_PERSON_MAX);
    int r = access_routes_parse(json_string(open, "way"), v->routes, &v->n_routes, err);
    return r < 0 ? r
                 : store_query(v->owner->store, sql_grant_for_session(v->grant_id, v->token), on_grant, v, &v->query,
                               err);
}

/* The operator's name for the stream, if it is fit to be sent back. */
static const char *name_of(const cJSON *open)
{
    const char *name = json_string(open, "id");
    size_t n = 0;
    while (name && name[n] > ' ' && name[n] <= '~')
        n++;
    return n > 0 && n <= NAME_MAX_BYTES && name[n] == '\0' ? name : NULL;
}

/* What the person says of herself: a serial number under another grant is none (sql_revocations()). */
static int read_certificate(const cJSON *open, char **ret)
{
    uint64_t serial = 0;
    if (json_u64(open, "certificate", &serial) < 0 || serial == 0 || serial > INT64_MAX)
        return 0;
    *ret = str_format("%" PRIu64, serial);
    return *ret ? 0 : -ENOMEM;
}

static SupportSession *support_session_new(SupportSessions *ss, Operator *o, const cJSON *open)
{
    char id[RANDOM_ID_SIZE];
    SupportSession *v = calloc(1, sizeof(*v));
    if (!v)
        return NULL;
    const char *name = name_of(open), *grant = json_string(open, "grant");
    v->owner = ss;
    v->box_events = &support_session_box_events;
    v->open = support_session_open;
    v->operator= o;
    v->story = BUF_INIT(STORY_MAX);
    v->greeting = BUF_INIT(BRIDGE_GREETING_MAX);
    flow_init(&v->to_box, &v->theirs, &v->box);
    flow_init(&v->from_box, &v->box, &v->theirs);
    v->name = name ? strdup(name) : NULL;
    v->person = strdup(operator_person(o));
    v->device = strdup(operator_device(o));
    v->token = strdup(operator_token(o));
    v->grant_id = strdup(grant ? grant : "");
    int r = read_certificate(open, &v->certificate);
    if (r >= 0)
        r = random_id(id);
    if (r >= 0) {
        memcpy(v->id, "s-", 2);
        memcpy(v->id + 2, id, SESSION_ID_SIZE - 3);
    }
    if (r < 0 || (name && !v->name) || !v->person || !v->device || !v->token || !v->grant_id ||
        map_put(ss->map, v->id, v) < 0) {
        support_session_free(v);
        return NULL;
    }
    return v;
}

/* An operator asks for a stream: takes or refuses it. */
static void on_stream(Operator *o, MuxStream *s, const cJSON *open, void *sessions)
{
    Error err = {};
    if (str_equal(json_string(open, "target"), "logs")) {
        log_readers_open(((SupportSessions *) sessions)->logs, o, s, open);
        return;
    }
    SupportSession *v = support_session_new(sessions, o, open);
    if (!v) {
        mux_stream_reset(s, "gateway.no-memory");
        return;
    }
    v->theirs = s;
    /* taken at once: what an operator says before there is a route waits here, within its window */
    mux_stream_accept(s, &support_session_their_events, v);
    int r = admit(v, open, &err);
    if (r < 0)
        support_session_end(v, error_id(&err), error_message(&err, r));
    error_done(&err);
}

void support_sessions_end_grant(SupportSessions *ss, const char *grant, const char *id, const char *sentence)
{
    void *value;
    for (size_t i = 0; map_next(ss->map, &i, NULL, &value);)
        if (str_equal(((SupportSession *) value)->grant_id, grant))
            support_session_end(value, id, sentence);
}

static void end_all(SupportSessions *ss, const char *device, const char *id, const char *sentence)
{
    void *value;
    log_readers_end(ss->logs, &(LogFilter) { .device = device }, id, sentence);
    for (size_t i = 0; map_next(ss->map, &i, NULL, &value);)
        if (str_equal(((SupportSession *) value)->device, device))
            support_session_end(value, id, sentence);
}

static void on_blocked(const char *device, void *userdata)
{
    end_all(userdata, device, "device.blocked", "the box was blocked");
}

static void on_removed(const char *device, void *userdata)
{
    end_all(userdata, device, "device.removed", "the box was removed");
}

/* Sessions that came through a tunnel of the old key are not the new key's. */
static void on_key_replaced(const char *device, Role role, void *userdata)
{
    SupportSessions *ss = userdata;
    void *value;
    if (role == ROLE_MGMT)
        log_readers_end(ss->logs, &(LogFilter) { .device = device }, "device.key-replaced", "the box has a new key");
    for (size_t i = 0; map_next(ss->map, &i, NULL, &value);) {
        SupportSession *v = value;
        if (v->box && str_equal(v->device, device) && v->routes[v->route].role == role)
            support_session_end(v, "device.key-replaced", "the box has a new key");
    }
}

void support_sessions_end_all(SupportSessions *ss, const char *id, const char *sentence)
{
    void *value;
    log_readers_end(ss->logs, &(LogFilter) {}, id, sentence);
    for (size_t i = 0; map_next(ss->map, &i, NULL, &value);)
        support_session_end(value, id, sentence);
}

static void end_token(SupportSessions *ss, const char *token)
{
    void *value;
    log_readers_end(ss->logs, &(LogFilter) { .token = token }, "operator.revoked",
                    "your token was revoked, or your sign-in is over");
    for (size_t i = 0; map_next(ss->map, &i, NULL, &value);)
        if (str_equal(((SupportSession *) value)->token, token))
            support_session_end(value, "operator.revoked", "your token was revoked, or your sign-in is over");
}

/* A token revoked on the command line, a grant revoked through another gateway. */
static void on_withdrawn(StoreQuery *q _unused_, int r, const StoreRows *rows, const Error *err, void *userdata)
{
    SupportSessions *ss = userdata;
    if (r < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, err, r, "whether the grants and tokens in use still hold is not known");
    size_t n = r >= 0 ? store_rows_count(rows) : 0;
    for (size_t i = 0; i < n; i++) {
        if (str_equal(store_rows_get(rows, i, 2), "labels"))
            support_sessions_end_grant(ss, store_rows_get(rows, i, 0), "auth.labels",
                                       "the box's labels are not those of your token any more");
        else
            support_sessions_end_grant(ss, store_rows_get(rows, i, 0), "grant.revoked", "the grant was revoked");
        end_token(ss, store_rows_get(rows, i, 1));
    }
    for (size_t i = 0; i < n; i++) /* no session is left in these */
        operators_end_token(ss->operators, store_rows_get(rows, i, 1), "operator.revoked");
}

static void end_withdrawn(SupportSessions *ss, char *const *grants, char *const *tokens)
{
    Error err = {};
    _cleanup_(freep) char *grant_list = strv_join(grants, ","), *token_list = strv_join(tokens, ",");
    if (!grant_list || !token_list)
        return;
    int r = store_query(ss->store, sql_withdrawn(grant_list, token_list), on_withdrawn, ss, NULL, &err);
    if (r < 0)
        log_debug("grants and tokens in use are looked at later: %s", error_message(&err, r));
    error_done(&err);
}

static int add_once(char ***list, const char *text)
{
    return strv_contains(*list, text) ? 0 : strv_add(list, text);
}

void support_sessions_sweep(SupportSessions *ss)
{
    _cleanup_(strv_freep) char **grants = NULL, **tokens = NULL;
    void *value;
    for (size_t i = 0; map_next(ss->map, &i, NULL, &value);) {
        SupportSession *v = value;
        if (v->end_saved) {
            support_session_free(v);
            continue;
        }
        if (v->state != SESSION_ENDED && (add_once(&grants, v->grant_id) < 0 || add_once(&tokens, v->token) < 0))
            return;
        support_session_save(v);
    }
    if (operators_add_tokens(ss->operators, &tokens) >= 0 && tokens)
        end_withdrawn(ss, grants, tokens);
}

/* It may be none of those that a token is for. */
static void on_relabelled(const char *device _unused_, void *userdata)
{
    support_sessions_sweep(userdata);
}

static const DeviceListener listener = {
    .on_key_replaced = on_key_replaced,
    .on_blocked = on_blocked,
    .on_relabelled = on_relabelled,
    .on_removed = on_removed,
    .people = people,
};

SupportSessions *support_sessions_new(sd_event *event, Store *store, Backlog *backlog, DeviceConns *conns,
                                      const DeviceRegistry *registry, const HostKeys *host_keys)
{
    SupportSessions *ss = calloc(1, sizeof(*ss));
    if (!ss)
        return NULL;
    *ss = (SupportSessions) {
        .event = event,
        .store = store,
        .backlog = backlog,
        .conns = conns,
        .host_keys = host_keys,
        .map = map_new(NULL),
    };
    ss->operators = operators_new(event, registry, on_stream, ss);
    ss->logs = log_readers_new(store, conns);
    if (!ss->map || !ss->operators || !ss->logs || device_conns_listen(conns, &listener, ss) < 0)
        return support_sessions_free(ss);
    return ss;
}

Operators *support_sessions_operators(const SupportSessions *ss)
{
    return ss->operators;
}

SupportSessions *support_sessions_free(SupportSessions *ss)
{
    void *value;
    if (!ss)
        return NULL;
    for (size_t i = 0; ss->map && map_next(ss->map, &i, NULL, &value);)
        support_session_free(value);
    log_readers_free(ss->logs);
    operators_free(ss->operators);
    map_free(ss->map);
    free(ss);
    return NULL;
}

/* SPDX-License-Identifier: MIT */
/* The life of a session: may it be, how long, and its end. */
#include "gateway/sessions/support-session-impl.h"

#include <errno.h>
#include <string.h>

#include "gateway/store/grants-table.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/event/daemon.h"
#include "lib/tunnel/message.h"

#define NAME_MAX_BYTES 128
#define STORY_MAX 1024

void support_session_free(void *session)
{
    SupportSession *v = session;
    if (map_get(v->gateway->support_sessions, v->id) == v)
        map_take(v->gateway->support_sessions, v->id);
    if (v->theirs)
        mux_stream_reset(v->theirs, "gateway.restart");
    if (v->box)
        mux_stream_reset(v->box, "gateway.restart");
    store_query_free(v->query);
    sd_event_source_disable_unref(v->timer);
    flow_done(&v->to_box);
    flow_done(&v->from_box);
    buf_done(&v->story);
    grant_done(&v->grant);
    free(v->name);
    free(v->person);
    free(v->device);
    free(v->grant_id);
    free(v->token);
    free(v->end_reason);
    free(v);
}

void support_session_say(SupportSession *v, const char *state, const char *error, const char *sentence)
{
    _cleanup_(cJSON_Deletep) cJSON *m = message_new("bridge.progress");
    const char *way = v->way < v->n_ways ? v->routes[v->way].name : NULL;
    if (!v->operator)
        return;
    if (m && json_add_string(m, "session", v->id) >= 0 && json_add_string(m, "id", v->name) >= 0 &&
        json_add_string(m, "way", way) >= 0 && json_add_string(m, "state", state) >= 0 &&
        json_add_string(m, "error", error) >= 0 && json_add_string(m, "message", sentence) >= 0)
        operator_send(v->operator, m);
}

void support_session_end(SupportSession *v, const char *id, const char *sentence)
{
    if (v->state == VISIT_ENDED)
        return;
    bool was_open = v->state == VISIT_OPEN;
    v->end_reason = strdup(id);
    v->state = VISIT_ENDED;
    v->closed_at = realtime_usec();
    if (sentence)
        support_session_say(v, was_open ? "ended" : "refused", id, sentence);
    v->operator = NULL;
    if (v->theirs)
        mux_stream_reset(TAKE_PTR(v->theirs), id);
    if (v->box)
        mux_stream_reset(TAKE_PTR(v->box), id);
    timer_disarm(v->timer);
    flow_done(&v->to_box);
    flow_done(&v->from_box);
    if (was_open) {
        support_session_log_end(v);
        support_session_save(v);
    } else {
        support_session_audit_refusal(v);
        support_session_free(v);
    }
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata);

static void watch(SupportSession *v, usec_t now)
{
    usec_t idle_at = v->idle.active_at + v->grant.idle_seconds * USEC_PER_SEC;
    usec_t at = idle_at < v->ends_at ? idle_at : v->ends_at;
    if (timer_arm(v->gateway->event, &v->timer, at > now ? at - now : 0, on_timer, v) < 0)
        support_session_end(v, "gateway.no-memory", "the gateway has no memory for this session");
}

static int on_timer(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    SupportSession *v = userdata;
    usec_t now = boottime_usec();
    if (now >= v->ends_at && v->ends_by_grant)
        support_session_end(v, "grant.expired", "the grant has expired");
    else if (now >= v->ends_at)
        support_session_end(v, "session.too-long", "the session has reached the longest time that its grant allows");
    else if (idle_time(&v->idle, now) >= v->grant.idle_seconds * USEC_PER_SEC)
        support_session_end(v, "session.idle", "nobody did anything for as long as the grant allows");
    else
        watch(v, now);
    return 0;
}

void support_session_opened(SupportSession *v)
{
    usec_t now = boottime_usec(), longest = now + v->grant.max_seconds * USEC_PER_SEC;
    v->state = VISIT_OPEN;
    v->opened_at = realtime_usec();
    if (longest < v->ends_at) {
        v->ends_at = longest;
        v->ends_by_grant = false;
    }
    idle_start(&v->idle, now);
    _cleanup_(freep) char *sentence = str_format("connected through %s", v->routes[v->way].title);
    support_session_say(v, "open", NULL, sentence ? sentence : "connected");
    support_session_log_open(v);
    support_session_save(v);
    flow_flush(&v->to_box);
    watch(v, now);
}

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

static void on_grant(StoreQuery *q _unused_, int r, const StoreRows *rows, const Error *query_err, void *userdata)
{
    SupportSession *v = userdata;
    _cleanup_(error_done) Error err = {};
    v->query = NULL;
    if (r < 0)
        (void) error_copy(&err, query_err);
    else
        r = judge(v, rows, &err);
    if (r < 0) {
        support_session_end(v, error_id(&err), error_message(&err, r));
        return;
    }
    v->ends_at = boottime_usec() + (usec_t) v->grant.seconds_left * USEC_PER_SEC;
    v->ends_by_grant = true;
    v->state = VISIT_TRYING;
    if (v->grant.break_glass)
        support_session_tell_recovery(v);
    support_session_try(v);
}

size_t support_sessions_open(const Gateway *g, const char *device)
{
    size_t n = 0;
    void *value;
    for (size_t i = 0; map_next(g->support_sessions, &i, NULL, &value);) {
        const SupportSession *v = value;
        n += v->state == VISIT_OPEN && str_equal(v->device, device);
    }
    return n;
}

static size_t count_of(const Gateway *g, const char *person, const char *device)
{
    void *value;
    size_t n = 0;
    for (size_t i = 0; map_next(g->support_sessions, &i, NULL, &value);) {
        const SupportSession *v = value;
        n += v->state != VISIT_ENDED && (!person || str_equal(v->person, person)) &&
             (!device || str_equal(v->device, device));
    }
    return n;
}

static int admit(SupportSession *v, const cJSON *open, Error *err)
{
    if (!str_equal(json_string(open, "target"), "ssh"))
        return error_set(err, EINVAL, "bridge.no-target", "the only target is ssh");
    if (!device_id_is_valid(v->grant_id))
        return grant_not_found(v->grant_id, err);
    if (count_of(v->gateway, NULL, v->device) > BRIDGE_SESSIONS_DEVICE_MAX)
        return error_set(err, EBUSY, "bridge.device-full", "%s has %d sessions open already", v->device,
                         BRIDGE_SESSIONS_DEVICE_MAX);
    if (count_of(v->gateway, v->person, NULL) > BRIDGE_SESSIONS_PERSON_MAX)
        return error_set(err, EBUSY, "bridge.person-full", "%s has %d sessions open already", v->person,
                         BRIDGE_SESSIONS_PERSON_MAX);
    int r = access_routes_parse(json_string(open, "way"), v->routes, &v->n_ways, err);
    return r < 0 ? r
                 : store_query(v->gateway->store, sql_grant_for_session(v->grant_id, v->token), on_grant, v, &v->query, err);
}

/* What the operator requests the stream, if that can be said back. */
static const char *name_of(const cJSON *open)
{
    const char *name = json_string(open, "id");
    size_t n = 0;
    while (name && name[n] > ' ' && name[n] <= '~')
        n++;
    return n > 0 && n <= NAME_MAX_BYTES && name[n] == '\0' ? name : NULL;
}

static SupportSession *support_session_new(Gateway *g, Operator *o, const cJSON *open)
{
    char id[REQUEST_ID_SIZE];
    SupportSession *v = calloc(1, sizeof(*v));
    if (!v)
        return NULL;
    const char *name = name_of(open), *grant = json_string(open, "grant");
    v->gateway = g;
    v->operator = o;
    v->story = BUF_INIT(STORY_MAX);
    flow_init(&v->to_box, &v->theirs, &v->box);
    flow_init(&v->from_box, &v->box, &v->theirs);
    v->name = name ? strdup(name) : NULL;
    v->person = strdup(operator_person(o));
    v->device = strdup(operator_device(o));
    v->token = strdup(operator_token(o));
    v->grant_id = strdup(grant ? grant : "");
    int r = random_id(id);
    if (r >= 0) {
        memcpy(v->id, "s-", 2);
        memcpy(v->id + 2, id, VISIT_ID_SIZE - 3);
    }
    if (r < 0 || (name && !v->name) || !v->person || !v->device || !v->token || !v->grant_id ||
        map_put(g->support_sessions, v->id, v) < 0) {
        support_session_free(v);
        return NULL;
    }
    return v;
}

void support_session_start(Gateway *g, Operator *o, MuxStream *s, const cJSON *open)
{
    Error err = {};
    SupportSession *v = support_session_new(g, o, open);
    if (!v) {
        mux_stream_reset(s, "gateway.no-memory");
        return;
    }
    v->theirs = s;
    /* taken at once: what an operator says before there is a way waits here, within its window */
    mux_stream_accept(s, &support_session_their_events, v);
    int r = admit(v, open, &err);
    if (r < 0)
        support_session_end(v, error_id(&err), error_message(&err, r));
    error_done(&err);
}

void support_sessions_end_grant(Gateway *g, const char *grant, const char *id, const char *sentence)
{
    void *value;
    for (size_t i = 0; map_next(g->support_sessions, &i, NULL, &value);)
        if (str_equal(((SupportSession *) value)->grant_id, grant))
            support_session_end(value, id, sentence);
}

void support_sessions_end_token(Gateway *g, const char *token, const char *id, const char *sentence)
{
    void *value;
    for (size_t i = 0; map_next(g->support_sessions, &i, NULL, &value);)
        if (str_equal(((SupportSession *) value)->token, token))
            support_session_end(value, id, sentence);
}

void support_sessions_end_device(Gateway *g, const char *device, const char *id, const char *sentence)
{
    void *value;
    for (size_t i = 0; map_next(g->support_sessions, &i, NULL, &value);)
        if (str_equal(((SupportSession *) value)->device, device))
            support_session_end(value, id, sentence);
}

void support_sessions_end_way(Gateway *g, const char *device, Role role, const char *id, const char *sentence)
{
    void *value;
    for (size_t i = 0; map_next(g->support_sessions, &i, NULL, &value);) {
        SupportSession *v = value;
        if (v->box && str_equal(v->device, device) && v->routes[v->way].role == role)
            support_session_end(v, id, sentence);
    }
}

void support_sessions_end_all(Gateway *g, const char *id, const char *sentence)
{
    void *value;
    for (size_t i = 0; map_next(g->support_sessions, &i, NULL, &value);)
        support_session_end(value, id, sentence);
}

/* A token revoked on the command line, a grant revoked through another gateway. */
static void on_withdrawn(StoreQuery *q _unused_, int r, const StoreRows *rows, const Error *err, void *userdata)
{
    Gateway *g = userdata;
    if (r < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, err, r, "whether the grants and tokens in use still hold is not known");
    size_t n = r >= 0 ? store_rows_count(rows) : 0;
    for (size_t i = 0; i < n; i++) {
        support_sessions_end_grant(g, store_rows_get(rows, i, 0), "grant.revoked", "the grant was revoked");
        support_sessions_end_token(g, store_rows_get(rows, i, 1), "operator.revoked", "your token was revoked");
    }
    for (size_t i = 0; i < n; i++) /* no session is left in these */
        operators_end_token(g, store_rows_get(rows, i, 1), "operator.revoked");
}

/* A token is looked for by its hash: its person may have got a new one since. */
static void look_for_withdrawn(Gateway *g, char *const *grants, char *const *tokens)
{
    Error err = {};
    _cleanup_(freep) char *grant_list = strv_join(grants, ","), *token_list = strv_join(tokens, ",");
    if (!grant_list || !token_list)
        return;
    int r = store_query(g->store, sql_withdrawn(grant_list, token_list), on_withdrawn, g, NULL, &err);
    if (r < 0)
        log_debug("grants and tokens in use are looked at later: %s", error_message(&err, r));
    error_done(&err);
}

static int add_once(char ***list, const char *text)
{
    return strv_contains(*list, text) ? 0 : strv_add(list, text);
}

void support_sessions_sweep(Gateway *g)
{
    _cleanup_(strv_freep) char **grants = NULL, **tokens = NULL;
    void *value;
    for (size_t i = 0; map_next(g->support_sessions, &i, NULL, &value);) {
        SupportSession *v = value;
        if (v->state != VISIT_ENDED && (add_once(&grants, v->grant_id) < 0 || add_once(&tokens, v->token) < 0))
            return;
        support_session_save(v);
    }
    if (operators_add_tokens(g, &tokens) >= 0 && tokens)
        look_for_withdrawn(g, grants, tokens);
}

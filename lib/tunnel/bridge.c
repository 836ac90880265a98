/* SPDX-License-Identifier: MIT */
/* Connects to what a peer may ask for by name, and says who is logged in, in the journal and in a file. */
#include "lib/tunnel/bridge.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "lib/base/text.h"
#include "lib/data/json.h"
#include "lib/event/daemon.h"
#include "lib/mux/pump.h"
#include "lib/tunnel/sessions-file.h"
#include "lib/net/stream.h"

#define CONNECT_TIMEOUT (10 * USEC_PER_SEC)
#define UPDATE_INTERVAL (10 * USEC_PER_SEC)
#define NAME_LENGTH_MAX 128
#define REASON_LENGTH_MAX 512
#define SIZE_TEXT 32

/* One person at one target: connecting first, then copied by a pump. */
typedef struct BridgeSession {
    Bridge *bridge;
    MuxStream *stream; /* while connecting; then the pump's */
    Stream *dial;
    sd_event_source *deadline;
    MuxPump *pump;
    bool passive;
    char *id, *person, *grant, *reason; /* as the gateway said, one line each; never NULL */
    char *target;
    usec_t since;      /* wall clock */
    usec_t started_at; /* CLOCK_BOOTTIME */
} BridgeSession;

struct Bridge {
    sd_event *event;
    sd_event_source *timer;
    BridgeTarget *targets; /* ends with {}; owned, and so are its strings */
    int (*may_open)(const cJSON *open, void *userdata, Error *err);
    void *userdata;
    SessionsFile *file; /* NULL = none is written */
    BridgeSession *sessions[BRIDGE_SESSIONS_MAX];
    uint64_t bytes_shown; /* as the file has them, over all sessions */
    bool complained;      /* about the file */
};

static void session_bytes(const BridgeSession *s, uint64_t *ret_in, uint64_t *ret_out)
{
    *ret_in = *ret_out = 0;
    /* What leaves the stream goes into the box. */
    if (s->pump)
        mux_pump_bytes(s->pump, ret_out, ret_in);
}

static cJSON *session_entry(const BridgeSession *s)
{
    _cleanup_(cJSON_Deletep) cJSON *entry = cJSON_CreateObject();
    char since[TIMESTAMP_SIZE];
    uint64_t in, out;
    session_bytes(s, &in, &out);
    if (!entry || json_add_string(entry, "session", s->id) < 0 || json_add_string(entry, "target", s->target) < 0 ||
        json_add_string(entry, "person", s->person) < 0 || json_add_string(entry, "grant", s->grant) < 0 ||
        json_add_string(entry, "reason", s->reason) < 0 ||
        json_add_string(entry, "since", timestamp_format(s->since, since)) < 0 ||
        json_add_u64(entry, "bytesIn", in) < 0 || json_add_u64(entry, "bytesOut", out) < 0)
        return NULL;
    return TAKE_PTR(entry);
}

static uint64_t all_bytes(const Bridge *b)
{
    uint64_t sum = 0, in, out;
    for (unsigned i = 0; i < BRIDGE_SESSIONS_MAX; i++)
        if (b->sessions[i]) {
            session_bytes(b->sessions[i], &in, &out);
            sum += in + out;
        }
    return sum;
}

static int write_sessions(Bridge *b, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *list = cJSON_CreateArray();
    if (!list)
        return -ENOMEM;
    for (unsigned i = 0; i < BRIDGE_SESSIONS_MAX; i++)
        if (b->sessions[i] && b->sessions[i]->pump && json_append(list, session_entry(b->sessions[i])) < 0)
            return -ENOMEM;
    b->bytes_shown = all_bytes(b);
    return sessions_file_write(b->file, TAKE_PTR(list), err);
}

/* People get in whether or not the file can be written. */
static void show(Bridge *b)
{
    _cleanup_(error_done) Error err = {};
    int r = b->file ? write_sessions(b, &err) : 0;
    if (r < 0 && !b->complained)
        log_failure(LOG_LEVEL_WARNING, NULL, &err, r, "[bridge] who is in cannot be shown by secboxctl sessions");
    b->complained = r < 0;
}

static bool has_sessions(const Bridge *b)
{
    for (unsigned i = 0; i < BRIDGE_SESSIONS_MAX; i++)
        if (b->sessions[i] && b->sessions[i]->pump)
            return true;
    return false;
}

static int on_update(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    Bridge *b = userdata;
    if (all_bytes(b) != b->bytes_shown)
        show(b);
    return has_sessions(b) ? timer_arm(b->event, &b->timer, UPDATE_INTERVAL, on_update, b) : 0;
}

static void session_free(BridgeSession *s)
{
    for (unsigned i = 0; i < BRIDGE_SESSIONS_MAX; i++)
        if (s->bridge->sessions[i] == s)
            s->bridge->sessions[i] = NULL;
    stream_free(s->dial);
    sd_event_source_disable_unref(s->deadline);
    free(s->id);
    free(s->person);
    free(s->grant);
    free(s->reason);
    free(s->target);
    free(s);
}

static const char *size_text(uint64_t bytes, char buf[static SIZE_TEXT])
{
    static const char *const units[] = { "KB", "MB", "GB" };
    double value = (double) bytes / 1000;
    size_t unit = 0;
    if (bytes < 1000)
        snprintf(buf, SIZE_TEXT, "%" PRIu64 " bytes", bytes);
    else {
        for (; value >= 1000 && unit + 1 < ELEMENTSOF(units); unit++)
            value /= 1000;
        snprintf(buf, SIZE_TEXT, "%.0f %s", value, units[unit]);
    }
    return buf;
}

#define SESSION_FIELDS(s)                                                                                              \
    (const LogField[])                                                                                                 \
    {                                                                                                                  \
        { "SESSION", (s)->id }, { "PERSON", (s)->person }, { "GRANT", (s)->grant },                                    \
        {                                                                                                              \
        }                                                                                                              \
    }

static void say_left(const BridgeSession *s, const char *reason)
{
    char in_text[SIZE_TEXT], out_text[SIZE_TEXT];
    uint64_t in, out;
    session_bytes(s, &in, &out);
    log_line(LOG_LEVEL_NOTICE, SESSION_FIELDS(s), "[bridge] %s has left after %llu s, %s in, %s out: %s", s->person,
             (unsigned long long) ((boottime_usec() - s->started_at) / USEC_PER_SEC), size_text(in, in_text),
             size_text(out, out_text), reason ? reason : "ended");
}

static void on_pump_done(MuxPump *p, const char *reason, void *userdata)
{
    BridgeSession *s = userdata;
    Bridge *b = s->bridge;
    say_left(s, reason);
    s->pump = mux_pump_free(p, NULL);
    session_free(s);
    show(b);
}

/* The gateway took back what it had asked for, or it is lost. */
static void on_taken_back(MuxStream *stream _unused_, const char *reason _unused_, void *userdata)
{
    session_free(userdata);
}

static const MuxStreamEvents connecting_events = { .on_closed = on_taken_back };

static void not_connected(BridgeSession *s, const Error *err, int r)
{
    log_failure(LOG_LEVEL_WARNING, SESSION_FIELDS(s), err, r, "[bridge] %s cannot get in by %s", s->person, s->target);
    mux_stream_reset(s->stream, "bridge.connect");
    session_free(s);
}

static int on_connect_deadline(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    _cleanup_(error_done) Error err = {};
    int r = error_set(&err, ETIMEDOUT, "bridge.connect", "nothing answers within 10 s");
    not_connected(userdata, &err, r);
    return 0;
}

/* Takes the descriptors. */
static void session_begin(BridgeSession *s, int in, int out)
{
    MuxPumpOptions options = { .in = in, .out = out, .on_done = on_pump_done, .userdata = s };
    int r = mux_pump_new(s->bridge->event, s->stream, true, &options, &s->pump);
    if (r < 0) {
        not_connected(s, NULL, r);
        return;
    }
    s->stream = NULL;
    s->since = realtime_usec();
    s->started_at = boottime_usec();
    log_line(LOG_LEVEL_NOTICE, SESSION_FIELDS(s), "[bridge] %s is in by %s (grant %s, reason \"%s\")", s->person,
             s->target, s->grant, s->reason);
    show(s->bridge);
    if (timer_arm(s->bridge->event, &s->bridge->timer, UPDATE_INTERVAL, on_update, s->bridge) < 0)
        log_debug("[bridge] the bytes of sessions are not updated");
}

static void on_dial_open(Stream *dial, void *userdata)
{
    BridgeSession *s = userdata;
    int fd = stream_take_socket(dial);
    s->dial = stream_free(dial);
    s->deadline = sd_event_source_disable_unref(s->deadline);
    if (fd < 0)
        not_connected(s, NULL, fd);
    else
        session_begin(s, fd, fd);
}

static void on_dial_data(Stream *dial _unused_, const uint8_t *data _unused_, size_t len _unused_,
                         void *userdata _unused_)
{
    /* Its socket is taken before anything is read. */
}

static void on_dial_closed(Stream *dial, int r, const Error *err, void *userdata)
{
    BridgeSession *s = userdata;
    s->dial = stream_free(dial);
    not_connected(s, err, r < 0 ? r : -ECONNRESET);
}

static const StreamEvents dial_events = { .on_open = on_dial_open,
                                          .on_data = on_dial_data,
                                          .on_closed = on_dial_closed };

static char *one_line(const cJSON *open, const char *key, size_t max, const char *fallback)
{
    const char *value = json_string(open, key);
    _cleanup_(freep) char *cut = strndup(str_empty(value) ? fallback : value, max);
    return cut ? text_printable(cut) : NULL;
}

static BridgeSession *session_new(Bridge *b, MuxStream *stream, const BridgeTarget *target, const cJSON *open)
{
    BridgeSession *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->bridge = b;
    s->stream = stream;
    s->passive = target->passive;
    s->target = strdup(target->name);
    s->id = one_line(open, "session", NAME_LENGTH_MAX, "unknown");
    s->person = one_line(open, "person", NAME_LENGTH_MAX, "somebody");
    s->grant = one_line(open, "grant", NAME_LENGTH_MAX, "unknown");
    s->reason = one_line(open, "reason", REASON_LENGTH_MAX, "none given");
    if (s->target && s->id && s->person && s->grant && s->reason)
        return s;
    session_free(s);
    return NULL;
}

static const BridgeTarget *find_target(const Bridge *b, const char *name)
{
    for (const BridgeTarget *t = b->targets; t->name; t++)
        if (str_equal(t->name, name))
            return t;
    return NULL;
}

static void dial_at_once(BridgeSession *s, const BridgeTarget *target, const cJSON *open)
{
    _cleanup_(error_done) Error err = {};
    int in = -1, out = -1, r = target->dial(open, target->userdata, &in, &out, &err);
    if (r < 0)
        not_connected(s, &err, r);
    else
        session_begin(s, in, out);
}

static void connect_to(Bridge *b, BridgeSession **slot, const BridgeTarget *target, MuxStream *stream,
                       const cJSON *open)
{
    _cleanup_(error_done) Error err = {};
    const StreamTarget where = { .host = target->host, .port = target->port };
    BridgeSession *s = session_new(b, stream, target, open);
    if (!s) {
        mux_stream_reset(stream, "bridge.connect");
        return;
    }
    *slot = s;
    if (target->dial) {
        dial_at_once(s, target, open);
        return;
    }
    int r = stream_connect(b->event, &where, &dial_events, s, &s->dial, &err);
    if (r >= 0)
        r = timer_arm(b->event, &s->deadline, CONNECT_TIMEOUT, on_connect_deadline, s);
    if (r < 0)
        not_connected(s, &err, r);
    else
        mux_stream_set_events(stream, &connecting_events, s);
}

void bridge_open(Bridge *b, MuxStream *s, const cJSON *open)
{
    _cleanup_(error_done) Error err = {};
    const BridgeTarget *target = find_target(b, json_string(open, "target"));
    unsigned slot = 0;
    if (!target) {
        mux_stream_reset(s, "bridge.no-target");
        return;
    }
    while (slot < BRIDGE_SESSIONS_MAX && b->sessions[slot])
        slot++;
    if (b->may_open && b->may_open(open, b->userdata, &err) < 0)
        mux_stream_reset(s, error_id(&err));
    else if (slot == BRIDGE_SESSIONS_MAX)
        mux_stream_reset(s, "bridge.busy");
    else
        connect_to(b, &b->sessions[slot], target, s, open);
}

bool bridge_is_passive(const Bridge *b, const cJSON *open)
{
    const BridgeTarget *target = find_target(b, json_string(open, "target"));
    return target && target->passive;
}

unsigned bridge_sessions(const Bridge *b)
{
    unsigned n = 0;
    for (unsigned i = 0; i < BRIDGE_SESSIONS_MAX; i++)
        n += b->sessions[i] && b->sessions[i]->pump && !b->sessions[i]->passive;
    return n;
}

static int copy_targets(Bridge *b, const BridgeTarget *targets)
{
    size_t n = 0;
    while (targets[n].name)
        n++;
    b->targets = calloc(n + 1, sizeof *b->targets);
    for (size_t i = 0; b->targets && i < n; i++) {
        BridgeTarget *t = &b->targets[i];
        *t = (BridgeTarget) { .name = strdup(targets[i].name),
                              .host = targets[i].host ? strdup(targets[i].host) : NULL,
                              .port = targets[i].port,
                              .dial = targets[i].dial,
                              .userdata = targets[i].userdata,
                              .passive = targets[i].passive };
        if (!t->name || (targets[i].host && !t->host))
            return -ENOMEM;
    }
    return b->targets ? 0 : -ENOMEM;
}

static void free_targets(Bridge *b)
{
    for (BridgeTarget *t = b->targets; t && (t->name || t->host); t++) {
        free((char *) t->name);
        free((char *) t->host);
    }
    free(b->targets);
}

void bridge_show_in(Bridge *b, const char *sessions_path, const char *program)
{
    _cleanup_(error_done) Error why = {};
    int r = sessions_file_new(sessions_path, program, &b->file, &why);
    if (r < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, &why, r, "[bridge] who is in will not be shown by secboxctl sessions");
    else
        show(b);
}

int bridge_new(sd_event *event, const BridgeOptions *options, Bridge **ret, Error *err)
{
    _cleanup_(bridge_freep) Bridge *b = calloc(1, sizeof *b);
    if (!b)
        return error_from_errno(err, -ENOMEM, "cannot let anybody in");
    b->event = sd_event_ref(event);
    b->may_open = options->may_open;
    b->userdata = options->userdata;
    if (copy_targets(b, options->targets) < 0)
        return error_from_errno(err, -ENOMEM, "cannot let anybody in");
    if (options->sessions_path)
        bridge_show_in(b, options->sessions_path, options->program);
    *ret = TAKE_PTR(b);
    return 0;
}

void bridge_end_all(Bridge *b)
{
    if (!b)
        return;
    for (unsigned i = 0; i < BRIDGE_SESSIONS_MAX; i++) {
        BridgeSession *s = b->sessions[i];
        if (!s)
            continue;
        if (s->pump) {
            say_left(s, "bridge.ended");
            s->pump = mux_pump_free(s->pump, "bridge.ended");
        } else {
            mux_stream_reset(s->stream, "bridge.ended");
        }
        session_free(s);
    }
    show(b);
}

Bridge *bridge_free(Bridge *b)
{
    if (!b)
        return NULL;
    bridge_end_all(b);
    sessions_file_free(b->file);
    sd_event_source_disable_unref(b->timer);
    sd_event_unref(b->event);
    free_targets(b);
    free(b);
    return NULL;
}

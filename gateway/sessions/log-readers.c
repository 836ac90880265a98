/* SPDX-License-Identifier: MIT */
/* See log-readers.h. */
#include "gateway/sessions/log-readers.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "gateway/auth/audit.h"
#include "gateway/auth/secrets.h"
#include "gateway/http/project-body.h"
#include "gateway/sessions/flow.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/base/map.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/tunnel/message.h"

#define SERVICE_NAME_MAX 128

struct LogReaders {
    Store *store;
    DeviceConns *conns;
    Map *map; /* by id → LogReader, owned */
};

typedef struct LogReader {
    LogReaders *owner;
    Operator *operator; /* NULL after the end of its stream */
    char *id, *person, *device, *token, *service;
    MuxStream *theirs, *box;
    Flow flow;
} LogReader;

static void reading_free(LogReader *v)
{
    if (v->id && map_get(v->owner->map, v->id) == v)
        map_take(v->owner->map, v->id);
    flow_done(&v->flow);
    free(v->id);
    free(v->person);
    free(v->device);
    free(v->token);
    free(v->service);
    free(v);
}

static void say(const LogReader *v, const char *state, const char *error, const char *sentence)
{
    _cleanup_(cJSON_Deletep) cJSON *m = message_new("bridge.progress");

    if (v->operator&& m && json_add_string(m, "session", v->id) >= 0 && json_add_string(m, "way", "mgmt") >= 0 &&
        json_add_string(m, "state", state) >= 0 && json_add_string(m, "error", error) >= 0 &&
        json_add_string(m, "message", sentence) >= 0)
        operator_send(v->operator, m);
}

/* `sentence` NULL: whoever reads knows. */
static void reading_end(LogReader *v, const char *id, const char *sentence)
{
    const LogField fields[] = { { "DEVICE", v->device }, { "SESSION", v->id }, {} };

    if (sentence)
        say(v, v->box ? "ended" : "refused", id, sentence);
    log_line(LOG_LEVEL_INFO, fields, "%s has read the log of %s on %s, %" PRIu64 " bytes: %s", v->person, v->service,
             v->device, v->flow.bytes, id);
    if (v->theirs)
        mux_stream_reset(TAKE_PTR(v->theirs), id);
    if (v->box)
        mux_stream_reset(TAKE_PTR(v->box), id);
    reading_free(v);
}

/* Nothing that an operator says goes to the box. */
static void on_their_data(MuxStream *s, const uint8_t *data _unused_, size_t len, void *userdata _unused_)
{
    mux_stream_consumed(s, len);
}

static void on_their_room(MuxStream *s _unused_, void *userdata)
{
    LogReader *v = userdata;
    flow_flush(&v->flow);
}

static void on_their_closed(MuxStream *s _unused_, const char *reason, void *userdata)
{
    LogReader *v = userdata;
    v->theirs = NULL;
    v->operator= NULL;
    reading_end(v, reason ? reason : "closed", NULL);
}

static const MuxStreamEvents their_events = {
    .on_data = on_their_data,
    .on_room = on_their_room,
    .on_closed = on_their_closed,
};

static void on_box_data(MuxStream *s _unused_, const uint8_t *data, size_t len, void *userdata)
{
    LogReader *v = userdata;

    if (flow_push(&v->flow, data, len, true) < 0)
        reading_end(v, "gateway.no-memory", "the gateway has no memory for this log");
}

static void on_box_room(MuxStream *s _unused_, void *userdata _unused_)
{
    /* nothing is written to it */
}

static void on_box_end(MuxStream *s _unused_, void *userdata)
{
    LogReader *v = userdata;
    v->flow.ended = true;
    flow_flush(&v->flow);
}

static void on_box_closed(MuxStream *s _unused_, const char *reason, void *userdata)
{
    static const struct {
        const char *reason, *id, *sentence;
    } known[] = {
        { "bridge.no-target", "logs.unsupported", "this box's program is too old to show logs: update it" },
        { "stream.no-target", "logs.unsupported", "this box's program is too old to show logs: update it" },
        { "bridge.connect", "device.agent-silent", "mgmt-agent does not answer on the box; see: secbox-fleet doctor" },
        { "bridge.busy", "logs.busy", "as many people as a box takes are on it already" },
        { "stream.lost", "device.offline", "the box is not connected any more" },
    };
    LogReader *v = userdata;

    v->box = NULL;
    if (!reason && v->flow.ended)
        return; /* what waits is still on its way to the operator */
    for (size_t i = 0; i < ELEMENTSOF(known); i++)
        if (str_equal(known[i].reason, reason)) {
            reading_end(v, known[i].id, known[i].sentence);
            return;
        }
    reading_end(v, reason ? reason : "closed", "the box ended it");
}

static const MuxStreamEvents box_events = {
    .on_data = on_box_data,
    .on_room = on_box_room,
    .on_end = on_box_end,
    .on_closed = on_box_closed,
};

static size_t count_of(const LogReaders *ls, const char *device)
{
    void *value;
    size_t n = 0;

    for (size_t i = 0; map_next(ls->map, &i, NULL, &value);)
        n += str_equal(((LogReader *) value)->device, device);
    return n;
}

static LogReader *reading_new(LogReaders *ls, Operator *o, const cJSON *open)
{
    char random[RANDOM_ID_SIZE];
    const char *service = json_string(open, "service");
    LogReader *v = calloc(1, sizeof(*v));

    if (!v)
        return NULL;
    v->owner = ls;
    v->operator= o;
    flow_init(&v->flow, &v->box, &v->theirs);
    v->id = random_id(random) >= 0 ? str_format("l-%.16s", random) : NULL;
    v->person = strdup(operator_person(o));
    v->device = strdup(operator_device(o));
    v->token = strdup(operator_token(o));
    v->service = strndup(service ? service : "", SERVICE_NAME_MAX);
    if (v->id && v->person && v->device && v->token && v->service && map_put(ls->map, v->id, v) >= 0)
        return v;
    reading_free(v);
    return NULL;
}

static int ask_box(LogReader *v, const cJSON *asked, Error *err)
{
    DeviceConn *conn = device_conn_find(v->owner->conns, v->device, ROLE_MGMT);
    _cleanup_(cJSON_Deletep) cJSON *open = cJSON_CreateObject();
    uint64_t tail = 0;

    if (str_empty(v->service))
        return error_set(err, EINVAL, "logs.service", "the request names no service");
    if (count_of(v->owner, v->device) > LOG_READERS_MAX)
        return error_set(err, EBUSY, "logs.busy", "%d logs of %s are being read already: end one of them",
                         LOG_READERS_MAX, v->device);
    if (!conn)
        return device_offline_error(v->device, err);
    if (!device_conn_takes_streams(conn))
        return error_set(err, ENOSYS, "logs.unsupported", "this box's program is too old to show logs: update it");
    const char *project = NULL;
    int r = project_body_read(asked, &project, err);
    if (r >= 0 && project) /* an older one would show what its own service of that name writes */
        r = device_conn_check_takes(conn, ORDER_PROJECT, err);
    if (r < 0)
        return r;
    Mux *m = device_conn_mux(conn);
    if (!m || !open || json_add_string(open, "target", "logs") < 0 || json_add_string(open, "session", v->id) < 0 ||
        json_add_string(open, "person", v->person) < 0 || json_add_string(open, "reason", "reads a log") < 0 ||
        json_add_string(open, "service", v->service) < 0 ||
        json_add_bool(open, "follow", json_bool(asked, "follow", false)) < 0 ||
        json_add_string(open, "since", json_string(asked, "since")) < 0 ||
        json_add_string(open, "project", project) < 0 ||
        (json_u64(asked, "tail", &tail) == 0 && json_add_u64(open, "tail", tail) < 0))
        return -ENOMEM;
    r = mux_open(m, open, &box_events, v, &v->box);
    return r == -EMFILE ? error_set(err, r, "logs.busy", "the box's tunnel carries as many streams as it can") : r;
}

static void write_down(const LogReader *v, const cJSON *asked)
{
    _cleanup_(freep) char *actor = str_format(OPERATOR_ACTOR_PREFIX "%s", v->person);
    cJSON *detail = cJSON_CreateObject();

    if (detail &&
        (json_add_string(detail, "service", v->service) < 0 || json_add_string(detail, "session", v->id) < 0 ||
         json_add_string(detail, "project", json_string(asked, "project")) < 0 ||
         json_add_bool(detail, "follow", json_bool(asked, "follow", false)) < 0))
        detail = (cJSON_Delete(detail), NULL);
    audit_write(v->owner->store, &(AuditEntry) { .actor = actor ? actor : OPERATOR_ACTOR_PREFIX,
                                                 .action = "logs.read",
                                                 .device = v->device,
                                                 .detail = detail });
}

void log_readers_open(LogReaders *ls, Operator *o, MuxStream *s, const cJSON *open)
{
    _cleanup_(error_done) Error err = {};
    LogReader *v = reading_new(ls, o, open);

    if (!v) {
        mux_stream_reset(s, "gateway.no-memory");
        return;
    }
    v->theirs = s;
    mux_stream_accept(s, &their_events, v);
    int r = ask_box(v, open, &err);
    if (r < 0)
        reading_end(v, error_id(&err) ? error_id(&err) : "gateway.no-memory", error_message(&err, r));
    else
        write_down(v, open);
}

void log_readers_end(LogReaders *ls, const LogFilter *of, const char *id, const char *sentence)
{
    void *value;

    for (size_t i = 0; map_next(ls->map, &i, NULL, &value);) {
        LogReader *v = value;

        if ((!of->device || str_equal(v->device, of->device)) && (!of->token || str_equal(v->token, of->token)))
            reading_end(v, id, sentence);
    }
}

LogReaders *log_readers_new(Store *store, DeviceConns *conns)
{
    LogReaders *ls = calloc(1, sizeof(*ls));

    if (!ls)
        return NULL;
    *ls = (LogReaders) { .store = store, .conns = conns, .map = map_new(NULL) };
    return ls->map ? ls : log_readers_free(ls);
}

LogReaders *log_readers_free(LogReaders *ls)
{
    void *value;

    if (!ls)
        return NULL;
    for (size_t i = 0; ls->map && map_next(ls->map, &i, NULL, &value);) {
        LogReader *v = value;

        if (v->theirs)
            mux_stream_reset(v->theirs, "gateway.restart");
        if (v->box)
            mux_stream_reset(v->box, "gateway.restart");
        reading_free(v);
    }
    map_free(ls->map);
    free(ls);
    return NULL;
}

/* SPDX-License-Identifier: MIT */
/* A request waits until the box has said what the answer is, so that what is wrong is answered with a status; then its connection
 * gets the bytes as they come, and the box is given credit for what has left. */
#include "gateway/cameras/box-recordings.h"

#include <errno.h>
#include <string.h>

#include "gateway/auth/audit.h"
#include "gateway/cameras/lately.h"
#include "gateway/cameras/recording-flow.h"
#include "gateway/cameras/token-watch.h"
#include "lib/base/buf.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/data/camera-name.h"
#include "lib/data/json.h"
#include "lib/data/media-token.h"
#include "lib/http/piped-answer.h"

/* Longer than a box waits for its Frigate, which may have to make the file first, and less than secbox-fleet waits. */
#define ANSWER_TIMEOUT (55 * USEC_PER_SEC)
#define OF_PERSON_MAX 8
/* A player asks for a piece every few seconds: that somebody sees a recording is written down once. */
#define WRITTEN_FOR USEC_PER_HOUR
#define PIECE_MAX ((size_t) 256 * 1024)
#define EVENT_END ".mp4"
#define SECONDS_MAX (UINT64_C(1) << 53)

/* One answer on its way from a box to somebody. */
typedef struct Passing {
    BoxRecordings *owner;
    struct Passing *next, **link;
    RecordingFlow *flow; /* NULL: the box has sent all */
    Request *request;    /* until it is answered */
    PipedAnswer *answer; /* then */
    Buf held;
    char *device, *person, *camera, *token;
    char *event; /* NULL: a file of a window */
    char *file;  /* NULL: the clip of an event */
    uint64_t from, until;
} Passing;

struct BoxRecordings {
    Store *store;
    DeviceConns *conns;
    const DeviceRegistry *registry;
    Passing *passings;
    Lately *seen; /* who has seen what */
    TokenWatch *watch;
};

/* Without a word to whoever it is. */
static void passing_free(Passing *p)
{
    *p->link = p->next;
    if (p->next)
        p->next->link = p->link;
    recording_flow_free(p->flow);
    piped_answer_free(p->answer);
    buf_done(&p->held);
    free(p->device);
    free(p->person);
    free(p->camera);
    free(p->event);
    free(p->file);
    free(p->token);
    free(p);
}

static void on_request_gone(void *passing)
{
    passing_free(passing);
}

static void fail(Passing *p, int r, const Error *err)
{
    if (p->request)
        request_fail(p->request, r, err); /* frees p, by its scratch */
    else
        passing_free(p);
}

/* What has left is the box's credit. */
static void on_room(PipedAnswer *a, void *userdata)
{
    Passing *p = userdata;
    size_t len = p->held.len < PIECE_MAX ? p->held.len : PIECE_MAX;

    if (piped_answer_send(a, p->held.data, len) < 0) {
        passing_free(p);
        return;
    }
    buf_consume(&p->held, len);
    if (p->flow)
        recording_flow_taken(p->flow, len);
    if (p->held.len > 0)
        piped_answer_want(a, true);
    else if (!p->flow)
        piped_answer_finish(a);
}

static void on_gone(PipedAnswer *a _unused_, void *userdata)
{
    Passing *p = userdata;

    p->answer = NULL;
    passing_free(p);
}

static const PipedAnswerEvents answer_events = { .on_room = on_room, .on_gone = on_gone };

/* Whatever it is that somebody begins with: pieces can be asked for without their playlist. */
static bool is_news(const Passing *p)
{
    const char *kind = str_equal(p->file, "clip.mp4") || str_equal(p->file, "preview.mp4") ? p->file : "";
    _cleanup_(freep) char *what =
        str_format("%s/%s/%s/%llu-%llu/%s/%s", p->device, p->camera, p->event ? p->event : "",
                   (unsigned long long) p->from, (unsigned long long) p->until, kind, p->person);

    return !what || lately_is_news(p->owner->seen, what, boottime_usec());
}

static int describe(const Passing *p, cJSON *detail)
{
    char from[TIMESTAMP_SIZE], until[TIMESTAMP_SIZE];

    if (json_add_string(detail, "camera", p->camera) < 0)
        return -ENOMEM;
    if (p->event)
        return json_add_string(detail, "event", p->event);
    return json_add_string(detail, "file", p->file) < 0 ||
                   json_add_string(detail, "from", timestamp_format(p->from * USEC_PER_SEC, from)) < 0 ||
                   json_add_string(detail, "until", timestamp_format(p->until * USEC_PER_SEC, until)) < 0
               ? -ENOMEM
               : 0;
}

static void write_down(const Passing *p)
{
    if (!is_news(p))
        return;
    _cleanup_(freep) char *actor = str_format(OPERATOR_ACTOR_PREFIX "%s", p->person);
    cJSON *detail = cJSON_CreateObject();

    if (detail && describe(p, detail) < 0)
        detail = (cJSON_Delete(detail), NULL);
    audit_write(p->owner->store, &(AuditEntry) { .actor = actor ? actor : OPERATOR_ACTOR_PREFIX,
                                                 .action = "recording.seen",
                                                 .device = p->device,
                                                 .detail = detail });
}

static char **headers_of(const RecordingHead *head)
{
    static const char *const always[] = { "Cache-Control: no-store", "X-Content-Type-Options: nosniff",
                                          "Content-Security-Policy: default-src 'none'; sandbox",
                                          "Cross-Origin-Resource-Policy: same-origin" };
    _cleanup_(strv_freep) char **list = NULL;
    int r = 0;

    for (size_t i = 0; r >= 0 && i < ELEMENTSOF(always); i++)
        r = strv_add(&list, always[i]);
    if (r >= 0 && head->content_range)
        r = strv_addf(&list, "Content-Range: %s", head->content_range);
    if (r >= 0 && head->ranges)
        r = strv_add(&list, "Accept-Ranges: bytes");
    return r < 0 ? NULL : TAKE_PTR(list);
}

/* Nothing is seen, so nothing is written down; the box is told that it need not go on. */
static void answer_head(Request *c, const RecordingHead *head, char *const *headers)
{
    HttpExchange *x = TAKE_PTR(c->exchange);

    http_respond_head(x, head->status, head->content_type, head->has_length ? head->length : HTTP_LENGTH_UNKNOWN,
                      (const char *const *) headers);
    request_free(c); /* frees the passing, by its scratch */
}

static void on_head(RecordingFlow *f _unused_, const RecordingHead *head, void *userdata)
{
    Passing *p = userdata;
    Request *c = p->request;
    _cleanup_(strv_freep) char **headers = headers_of(head);
    _cleanup_(error_done) Error err = {};

    if (headers && http_is_head(c->exchange)) {
        answer_head(c, head, headers);
        return;
    }
    int r = headers ? piped_answer_new(c->exchange, head->status, head->content_type,
                                       head->has_length ? head->length : HTTP_LENGTH_UNKNOWN,
                                       (const char *const *) headers, &answer_events, p, &p->answer)
                    : -ENOMEM;

    if (r == -ENOTCONN)
        r = error_set(&err, EINVAL, "request.bad", "send GET, and nothing behind the request");
    if (r < 0) {
        request_fail(c, r, &err);
        return;
    }
    write_down(p);
    p->request = NULL;
    c->exchange = NULL;
    c->scratch = NULL;
    request_free(c);
}

/* The box has no more credit than the buffer has room. */
static void on_data(RecordingFlow *f _unused_, const uint8_t *data, size_t len, void *userdata)
{
    Passing *p = userdata;

    if (!p->answer || buf_append(&p->held, data, len) < 0)
        passing_free(p);
    else
        piped_answer_want(p->answer, true);
}

static void on_end(RecordingFlow *f _unused_, int r, const Error *err, void *userdata)
{
    Passing *p = userdata;

    p->flow = NULL;
    if (r < 0 || !p->answer)
        fail(p, r < 0 ? r : -EBADMSG, err);
    else
        piped_answer_want(p->answer, true);
}

static const RecordingFlowEvents flow_events = { .on_head = on_head, .on_data = on_data, .on_end = on_end };

static void on_silence(Request *c, const void *news _unused_)
{
    _cleanup_(error_done) Error err = {};

    request_fail(c, error_set(&err, ETIMEDOUT, "device.timeout", "the box does not answer in time"), &err);
}

/* "FROM-UNTIL", seconds since 1970. */
static int read_window(const char *text, uint64_t *from, uint64_t *until, Error *err)
{
    const char *dash = strchr(text, '-');
    _cleanup_(freep) char *first = dash ? strndup(text, (size_t) (dash - text)) : NULL;

    if (!first || str_to_u64(first, 0, SECONDS_MAX, from) < 0 || str_to_u64(dash + 1, 0, SECONDS_MAX, until) < 0 ||
        *until <= *from || *until - *from > MEDIA_WINDOW_SECONDS)
        return error_set(err, EINVAL, "request.bad-parameter",
                         "\"%s\" in the path must be FROM-UNTIL, in seconds since 1970, a day at most", text);
    return 0;
}

static int check_bounds(const BoxRecordings *b, const char *person, Error *err)
{
    unsigned n = 0;

    for (const Passing *p = b->passings; p; p = p->next)
        n += str_equal(p->person, person);
    return n < OF_PERSON_MAX ? 0
                             : error_set(err, EAGAIN, "camera.busy", "%s is sent %d files of recordings already",
                                         person, OF_PERSON_MAX);
}

/* Of a window there is a file, else an event. */
static Passing *passing_new(BoxRecordings *b, Request *c, const char *file, const char *event)
{
    Passing *p = calloc(1, sizeof(*p));

    if (!p)
        return NULL;
    *p = (Passing) { .owner = b,
                     .next = b->passings,
                     .link = &b->passings,
                     .request = c,
                     .held = BUF_INIT(2 * MUX_WINDOW_MAX),
                     .device = strdup(c->args[0]),
                     .camera = strdup(c->args[1]),
                     .file = file ? strdup(file) : NULL,
                     .event = event ? strdup(event) : NULL,
                     .token = strdup(c->token_hash),
                     .person = strdup(request_person(c)) };
    if (p->next)
        p->next->link = &p->next;
    b->passings = p;
    if (p->device && p->camera && (p->file || p->event) && p->token && p->person)
        return p;
    passing_free(p);
    return NULL;
}

static int start(Passing *p, Error *err)
{
    const RecordingAsk ask = {
        .device = p->device,
        .person = p->person,
        .camera = p->camera,
        .event = p->event,
        .from = p->from,
        .until = p->until,
        .file = p->file,
        .range = http_header(p->request->exchange, "Range"),
    };

    return recording_flow_open(p->owner->conns, &ask, &flow_events, p, &p->flow, err);
}

/* What was wrong with what is asked for is told before anything else. */
static void get(Request *c, const Passing *wanted, int r, Error *err)
{
    BoxRecordings *b = c->module;
    Passing *p = NULL;

    if (r >= 0 && !camera_name_is_valid(c->args[1]))
        r = error_set(err, ENOENT, "camera.unknown", "there is no such camera");
    if (r >= 0 && !device_registry_has_device(b->registry, c->args[0]))
        r = error_set(err, ENOENT, "device.not-found", "there is no device \"%s\" here", c->args[0]);
    if (r >= 0)
        r = check_bounds(b, request_person(c), err);
    if (r >= 0) {
        p = passing_new(b, c, wanted->file, wanted->event);
        r = p ? 0 : -ENOMEM;
        c->scratch = p;
        c->scratch_free = p ? on_request_gone : NULL;
    }
    if (r >= 0) {
        p->from = wanted->from;
        p->until = wanted->until;
        r = start(p, err);
    }
    if (r < 0)
        request_fail(c, r, err);
    else
        request_wait(c, ANSWER_TIMEOUT, on_silence, "recording/%s", c->id);
}

static void get_file(Request *c)
{
    _cleanup_(error_done) Error err = {};
    Passing wanted = { .file = c->args[3] };
    int r = read_window(c->args[2], &wanted.from, &wanted.until, &err);

    get(c, &wanted, r, &err);
}

static void get_event(Request *c)
{
    _cleanup_(error_done) Error err = {};
    const char *file = c->args[2];
    size_t len = strlen(file), end = strlen(EVENT_END);
    char id[FRIGATE_ID_SIZE] = "";

    if (str_ends(file, EVENT_END) && len - end < sizeof(id))
        memcpy(id, file, len - end);
    int r = frigate_id_is_valid(id)
                ? 0
                : error_set(&err, ENOENT, "camera.no-file", "\"%s\" is no clip of an event: it is named ID.mp4", file);
    get(c, &(Passing) { .event = id }, r, &err);
}

/* The first that fits counts. */
const Route box_recording_routes[] = {
    { "GET", "/v1/devices/*/recordings/*/events/*", ACCESS_OPERATOR, get_event,
      "the clip of an event, through the tunnel" },
    { "GET", "/v1/devices/*/recordings/*/*/*", ACCESS_OPERATOR, get_file, "a file of a recording, through the tunnel" },
    {},
};

static void end_device(const char *device, const char *id, const char *sentence, const BoxRecordings *b)
{
    Passing *next;

    for (Passing *p = b->passings; p; p = next) {
        _cleanup_(error_done) Error err = {};
        next = p->next;
        if (str_equal(p->device, device))
            fail(p, error_set(&err, EACCES, id, "%s", sentence), &err);
    }
}

static void on_blocked(const char *device, void *userdata)
{
    end_device(device, "device.blocked", "this device is blocked", userdata);
}

static void on_removed(const char *device, void *userdata)
{
    end_device(device, "device.not-found", "this device was removed", userdata);
}

static const DeviceListener listener = { .on_blocked = on_blocked, .on_removed = on_removed };

static void on_withdrawn(const char *token, void *userdata)
{
    const BoxRecordings *b = userdata;
    Passing *next;

    for (Passing *p = b->passings; p; p = next) {
        next = p->next;
        if (p->answer && str_equal(p->token, token))
            passing_free(p);
    }
}

BoxRecordings *box_recordings_new(Store *store, DeviceConns *conns, const DeviceRegistry *registry)
{
    BoxRecordings *b = calloc(1, sizeof(*b));

    if (!b)
        return NULL;
    *b = (BoxRecordings) { .store = store, .conns = conns, .registry = registry, .seen = lately_new(WRITTEN_FOR) };
    b->watch = token_watch_new(store, "those who are sent recordings", on_withdrawn, b);
    return b->seen && b->watch && device_conns_listen(conns, &listener, b) >= 0 ? b : box_recordings_free(b);
}

BoxRecordings *box_recordings_free(BoxRecordings *b)
{
    if (!b)
        return NULL;
    token_watch_free(b->watch);
    while (b->passings)
        passing_free(b->passings);
    lately_free(b->seen);
    free(b);
    return NULL;
}

void box_recordings_sweep(BoxRecordings *b)
{
    for (const Passing *p = b->passings; p; p = p->next)
        if (p->answer)
            token_watch_note(b->watch, p->token);
    token_watch_ask(b->watch);
}

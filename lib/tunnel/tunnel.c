/* SPDX-License-Identifier: MIT */
/* The box's end of a tunnel: carries out what tunnel-state.c decides, on a stream and then on a WebSocket. */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/encode.h"
#include "lib/base/lifetime.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/event/daemon.h"
#include "lib/http/parser.h"
#include "lib/tunnel/message.h"
#include "lib/mux/carrier.h"
#include "lib/net/address-memory.h"
#include "lib/net/proxy-env.h"
#include "lib/net/host-port.h"
#include "lib/net/send-queue.h"
#include "lib/net/stream.h"
#include "lib/tunnel/protocol.h"
#include "lib/tunnel/refusal.h"
#include "lib/tunnel/tunnel-state.h"
#include "lib/tunnel/tunnel.h"
#include "lib/websocket/connection-impl.h"
#include "lib/websocket/handshake.h"

#define GOAWAY_SECONDS_MAX 3600
#define ID_MAX 128
/* For states that end by the stream's own deadlines, of which each address has one. */
#define OVERDUE (3 * USEC_PER_MINUTE)
/* A gateway that goes away is lost to all its boxes at once: over which time they come back when it has not said. */
#define GONE_SPREAD (30 * USEC_PER_SEC)

struct Tunnel {
    sd_event *event;
    sd_event_source *timer;
    const TunnelEvents *events;
    void *userdata;
    WsUrl url;
    Tls *tls;
    char *ca_file;
    struct stat ca_seen; /* when it was read */
    uint64_t time_floor;
    Stream *stream;      /* until the upgrade */
    WsConn *ws;          /* from then on */
    MuxCarrier *carrier; /* NULL until there are streams */
    char **known;
    char address[INET6_ADDRSTRLEN];
    Buf answer;
    size_t scanned;
    char key[WS_KEY_SIZE];
    SendQueue queue;
    Backoff backoff;
    usec_t up_since;
    usec_t spread; /* as the gateway's last welcome had it */
    TunnelEnd end; /* what is known of it already */
    Error end_reason;
    TunnelState state;
    usec_t due; /* when the state ends by itself at the latest; USEC_INFINITY: it need not */
    Lifetime life;
    bool challenged; /* on this connection, and answered */
    TunnelWay way;
};

static const StreamEvents stream_events;
static const WsEvents ws_events, ws_events_with_streams;

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata);

static void disconnect(Tunnel *t)
{
    if (t->carrier)
        mux_carrier_detach(t->carrier);
    t->challenged = false;
    t->stream = stream_free(t->stream);
    t->ws = ws_conn_free(t->ws);
    buf_done(&t->answer);
    t->scanned = 0;
}

static void tunnel_destroy(Tunnel *t)
{
    send_queue_clear(&t->queue);
    strv_free(t->known);
    error_done(&t->end_reason);
    ws_url_done(&t->url);
    tls_free(t->tls);
    free(t->ca_file);
    sd_event_unref(t->event);
    free(t);
}

static void tunnel_release(Tunnel *t)
{
    if (lifetime_release(&t->life))
        tunnel_destroy(t);
}

Tunnel *tunnel_free(Tunnel *t)
{
    if (!t || !lifetime_end(&t->life))
        return NULL;
    t->timer = sd_event_source_disable_unref(t->timer);
    t->carrier = mux_carrier_free(t->carrier);
    disconnect(t);
    tunnel_release(t);
    return NULL;
}

static int arm(Tunnel *t, usec_t delay)
{
    t->due = boottime_usec() + delay;
    return timer_arm(t->event, &t->timer, delay, on_timer, t);
}

static int enter(Tunnel *t, TunnelInput input)
{
    t->state = tunnel_next(t->state, input);
    usec_t limit = tunnel_deadline(t->state);
    if (limit > 0)
        return arm(t, limit);
    timer_disarm(t->timer);
    t->due = t->state == TUNNEL_CONNECTING || t->state == TUNNEL_LEAVING ? boottime_usec() + OVERDUE : USEC_INFINITY;
    return 0;
}

static const char *peer_of(const Tunnel *t)
{
    return t->ws ? ws_conn_peer(t->ws) : t->stream ? stream_peer(t->stream) : "";
}

/* The connection is over, whatever stage it was in. Decides about the next one first, then tells the owner, who may
 * change that decision by tunnel_retry(). */
static void down(Tunnel *t, int r, const Error *err)
{
    tunnel_way_ended(&t->way, t->up_since == 0 && t->end.http_status == 0);
    /* Silence, another program, a gateway in distress: the next try begins with another address, if there is one. */
    if (t->up_since == 0 && t->end.http_status != 401 && t->end.http_status != 403)
        address_note(peer_of(t), false);
    if (err && str_equal(err->id, "ws.dead"))
        address_note_silence(peer_of(t));
    if (t->up_since > 0)
        t->end.lasted_usec = boottime_usec() - t->up_since;
    t->up_since = 0;
    _cleanup_(error_done) Error reason = t->end_reason;
    t->end_reason = (Error) {};
    if (!reason.id && err)
        (void) error_copy(&reason, err);
    error_from_errno(&reason, r, "the tunnel to %s broke", t->url.host);
    TunnelEnd end = t->end;
    t->end = (TunnelEnd) {};
    disconnect(t);
    TunnelEnd how = end;
    how.streams = t->carrier && mux_streams(mux_carrier_mux(t->carrier)) > 0;
    /* No new token would come that could end the waiting. */
    if (t->events->answer_challenge)
        how.http_status = 0;
    usec_t delay = tunnel_retry_delay(&how, &t->backoff, random_u64());
    r = enter(t, delay == USEC_INFINITY ? TUNNEL_REFUSED : TUNNEL_LOST);
    if (r >= 0 && t->state == TUNNEL_WAITING)
        r = arm(t, delay);
    if (r < 0) {
        /* No memory for a timer: the owner is told that nothing will happen by itself. */
        t->state = TUNNEL_IDLE;
        delay = USEC_INFINITY;
    }
    if (t->events->on_down)
        t->events->on_down(t, end.http_status, delay, &reason, t->userdata);
}

/* The file of authorities as it is now: who rotates a private authority names the new one there before the gateway gets its
 * certificate from it. A file that cannot be used leaves the authorities as they were. */
static int load_authorities(Tunnel *t, Error *err)
{
    struct stat now = {};
    Tls *tls = NULL;
    bool known = t->ca_file && stat(t->ca_file, &now) == 0;
    if (t->tls && (!known || (now.st_ino == t->ca_seen.st_ino && now.st_size == t->ca_seen.st_size &&
                              now.st_mtim.tv_sec == t->ca_seen.st_mtim.tv_sec &&
                              now.st_mtim.tv_nsec == t->ca_seen.st_mtim.tv_nsec)))
        return 0;
    int r = tls_new_client(t->ca_file, &tls, err);
    if (r < 0)
        return r;
    tls_free(t->tls);
    t->tls = tls;
    t->ca_seen = now;
    tls_set_time_floor(t->tls, t->time_floor);
    return 0;
}

static int connect_now(Tunnel *t)
{
    if (t->url.tls)
        (void) load_authorities(t, NULL);
    _cleanup_(error_done) Error err = {};
    _cleanup_(proxy_env_done) ProxyEnv proxy = {};
    /* of a kind that only curl knows: the way is the direct one, as it was before there were others */
    (void) !proxy_env_find(t->url.host, t->url.tls, &proxy, NULL);
    t->way.has_proxy = proxy.host;
    StreamTarget target = {
        .host = t->url.host,
        .port = t->url.port,
        .tls = t->tls,
        .known = (const char *const *) t->known,
        .known_only = t->way.known_only,
        .proxy_host = t->way.direct ? NULL : proxy.host,
        .proxy_port = proxy.port,
        .proxy_login = proxy.login,
    };
    int r = enter(t, TUNNEL_START);
    if (r >= 0)
        r = stream_connect(t->event, &target, &stream_events, t, &t->stream, &err);
    if (r < 0)
        down(t, r, &err);
    return 0;
}

/* Challenge comes first, then hello, then welcome. */
static bool wants_challenge(const Tunnel *t)
{
    return t->events->answer_challenge && !t->challenged;
}

static int on_timer(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    Tunnel *t = userdata;
    lifetime_hold(&t->life);
    if (t->state == TUNNEL_WAITING) {
        bool may = t->events->answer_challenge || t->events->get_token(t, t->userdata);
        if (!t->life.ended && may)
            (void) connect_now(t);
        else if (!t->life.ended)
            (void) enter(t, TUNNEL_NO_TOKEN);
    } else if (t->state == TUNNEL_UPGRADING || t->state == TUNNEL_GREETING) {
        error_set(&t->end_reason, ETIMEDOUT, "tunnel.timeout", "%s:%u accepted the connection but %s within 10 s",
                  t->url.host, t->url.port,
                  t->state == TUNNEL_UPGRADING ? "did not answer the WebSocket upgrade"
                  : wants_challenge(t)         ? "sent no challenge"
                                               : "sent no welcome");
        down(t, -ETIMEDOUT, NULL);
    }
    tunnel_release(t);
    return 0;
}

/* The token is asked for again here: on a slow network it may have been refreshed since. */
static void on_open(Stream *s, void *userdata)
{
    Tunnel *t = userdata;
    _cleanup_(buf_done) Buf request = BUF_INIT(2 * HTTP_HEADER_MAX);
    lifetime_hold(&t->life);
    bool with_token = !t->events->answer_challenge;
    const char *token = with_token ? t->events->get_token(t, t->userdata) : NULL;
    if (t->life.ended || (with_token && !token)) {
        if (!t->life.ended) {
            disconnect(t);
            (void) enter(t, TUNNEL_NO_TOKEN);
        }
        tunnel_release(t);
        return;
    }
    int r = ws_make_key(t->key);
    if (r >= 0)
        r = ws_make_request(&request, &t->url, t->key, TUNNEL_SUBPROTOCOL, token);
    if (r == -EINVAL)
        error_set(&t->end_reason, EINVAL, "tunnel.bad-token", "the device token has characters that no token has");
    if (r >= 0)
        r = stream_send(s, request.data, request.len);
    if (r >= 0)
        r = enter(t, TUNNEL_CONNECTED);
    if (r < 0)
        down(t, r, NULL);
    tunnel_release(t);
}

/* What refuses the upgrade. Its body says whose word it is. 0: not all of it is there. */
static int read_refusal(Tunnel *t, const HttpHead *head, size_t head_len, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *body = NULL;
    _cleanup_(error_done) Error own = {};
    uint64_t len = 0;
    const char *value = http_head_get(head, "Content-Length");

    if (value && str_to_u64(value, 0, REFUSAL_MAX, &len) == 0 && t->answer.len - head_len < len) {
        t->scanned = 0; /* the head is found again when more has come */
        return 0;
    }
    if (len > 0 && json_parse_object(t->answer.data + head_len, len, &body, NULL) < 0)
        body = NULL;
    t->end.retry_after_usec = tunnel_parse_retry_after(http_head_get(head, "Retry-After"));
    if (refusal_is_own(body, &own)) {
        t->end.http_status = head->status;
        return error_set(err, EACCES, "tunnel.refused", "%s:%u refused the tunnel with HTTP status %d: %s", t->url.host,
                         t->url.port, head->status, own.message);
    }
    t->end.stranger = true;
    return refusal_of_stranger(t->url.host, head->status, http_head_get(head, "Server"),
                               http_head_get(head, "Location"), err);
}

/* challenge NULL: the connection was let in by its token. */
static int send_hello(Tunnel *t, const cJSON *challenge)
{
    _cleanup_(cJSON_Deletep) cJSON *hello =
        challenge ? t->events->answer_challenge(t, challenge, t->userdata) : t->events->make_hello(t, t->userdata);
    if (t->life.ended || !t->ws)
        return 0;
    if (hello && t->events->on_stream && json_add_bool(hello, "streams", true) < 0)
        return -ENOMEM;
    _cleanup_(freep) char *text = hello ? json_print(hello) : NULL;
    return text ? ws_conn_send_text(t->ws, text, strlen(text)) : -ENOMEM;
}

static void use_events(Tunnel *t)
{
    bool streams = t->carrier || t->events->on_stream;
    ws_conn_set_events(t->ws, streams ? &ws_events_with_streams : &ws_events, t);
}

/* 1: upgraded, and what came behind the answer is in *ret_rest; 0: more is needed. */
static int take_answer(Tunnel *t, size_t *ret_rest, Error *err)
{
    HttpHead head = {};
    int r = http_head_find(t->answer.data, t->answer.len, &t->scanned, err);
    if (r <= 0)
        return r;
    size_t head_len = (size_t) r;
    r = http_response_parse(t->answer.data, head_len, &head, err);
    if (r >= 0)
        r = head.status == 101 ? ws_check_response(&head, t->key, TUNNEL_SUBPROTOCOL, err)
                               : read_refusal(t, &head, head_len, err);
    bool upgraded = r >= 0 && head.status == 101;
    http_head_done(&head);
    if (!upgraded)
        return r;
    r = ws_conn_new(t->stream, WS_CLIENT, &t->ws);
    if (r < 0)
        return r;
    t->stream = NULL;
    use_events(t);
    *ret_rest = t->answer.len - head_len;
    r = enter(t, TUNNEL_UPGRADED);
    if (r >= 0 && !t->events->answer_challenge)
        r = send_hello(t, NULL);
    return r < 0 ? r : 1;
}

static void on_data(Stream *s _unused_, const uint8_t *data, size_t len, void *userdata)
{
    Tunnel *t = userdata;
    _cleanup_(error_done) Error err = {};
    size_t rest = 0;
    lifetime_hold(&t->life);
    int r = buf_append(&t->answer, data, len);
    if (r >= 0)
        r = take_answer(t, &rest, &err);
    if (!t->life.ended && r < 0) {
        down(t, r, &err);
    } else if (!t->life.ended && r > 0 && t->ws) {
        _cleanup_(buf_done) Buf answer = t->answer;
        t->answer = BUF_INIT(answer.max);
        if (rest > 0)
            ws_conn_feed(t->ws, (const uint8_t *) answer.data + answer.len - rest, rest);
    }
    tunnel_release(t);
}

static void on_stream_closed(Stream *s _unused_, int r, const Error *err, void *userdata)
{
    Tunnel *t = userdata;
    lifetime_hold(&t->life);
    if (r == 0)
        error_set(&t->end_reason, ECONNRESET, "tunnel.closed",
                  "%s:%u closed the connection instead of answering the WebSocket upgrade", t->url.host, t->url.port);
    down(t, r < 0 ? r : -ECONNRESET, err);
    tunnel_release(t);
}

static const StreamEvents stream_events = {
    .on_open = on_open,
    .on_data = on_data,
    .on_closed = on_stream_closed,
};

/* What waited goes out in order, as far as the connection takes it. */
static void flush(Tunnel *t)
{
    size_t len = 0;
    const char *text;
    while (t->state == TUNNEL_UP && (text = send_queue_peek(&t->queue, &len))) {
        if (ws_conn_send_text(t->ws, text, len) < 0)
            return;
        send_queue_pop(&t->queue);
    }
}

static void leave(Tunnel *t, const char *reason)
{
    (void) enter(t, TUNNEL_LEAVE);
    if (t->carrier)
        mux_carrier_detach(t->carrier);
    ws_conn_close(t->ws, WS_CLOSE_NORMAL, reason);
}

static usec_t seconds_of(const cJSON *message, const char *key)
{
    uint64_t n = 0;
    if (json_u64(message, key, &n) < 0)
        return 0;
    return (n > GOAWAY_SECONDS_MAX ? GOAWAY_SECONDS_MAX : n) * USEC_PER_SEC;
}

static void obey_goaway(Tunnel *t, const cJSON *message)
{
    t->end.goaway = true;
    t->end.retry_after_usec = seconds_of(message, "retryAfterSeconds");
    t->end.spread_usec = seconds_of(message, "spreadSeconds");
    error_set(&t->end_reason, ECONNRESET, "tunnel.goaway", "the gateway asked to come back later: %s",
              json_string(message, "reason"));
    leave(t, "goaway");
}

static void welcome(Tunnel *t, const cJSON *message)
{
    if (enter(t, TUNNEL_WELCOMED) < 0)
        return;
    t->up_since = boottime_usec();
    address_note(peer_of(t), true);
    t->spread = seconds_of(message, "spreadSeconds");
    if (t->spread == 0)
        t->spread = GONE_SPREAD;
    ws_conn_set_busy(t->ws, false);
    if (t->carrier)
        mux_carrier_attach(t->carrier, t->ws);
    if (!t->life.ended && t->state == TUNNEL_UP && t->events->on_up)
        t->events->on_up(t, message, t->userdata);
    if (!t->life.ended)
        flush(t);
}

static void take_challenge(Tunnel *t, const cJSON *message)
{
    t->challenged = true;
    int r = send_hello(t, message);
    if (!t->life.ended && r < 0)
        down(t, r, NULL);
}

/* A message of a known type that is not as it must be: its sender is told, the tunnel stays. Losing the tunnel over one
 * message would cost the way by which it can be corrected. */
static void answer_bad_message(Tunnel *t, const char *text, size_t len, const Error *err, int code)
{
    _cleanup_(cJSON_Deletep) cJSON *bad = NULL;
    _cleanup_(cJSON_Deletep) cJSON *answer = message_new("error");
    if (t->state != TUNNEL_UP || json_parse_object(text, len, &bad, NULL) < 0 || !answer)
        return;
    const char *id = json_string(bad, "id");
    if (id && strlen(id) <= ID_MAX && json_add_string(answer, "id", id) < 0)
        return;
    if (json_add_item(answer, "error", json_from_error(err, code)) >= 0 && tunnel_send_json(t, answer) < 0)
        return; /* the queue is full: the sender's own deadline has to do */
}

static void on_text(WsConn *c, const char *text, size_t len, void *userdata)
{
    Tunnel *t = userdata;
    _cleanup_(cJSON_Deletep) cJSON *message = NULL;
    _cleanup_(error_done) Error err = {};
    const MessageType *type = NULL;
    int r = message_parse(text, len, SENDER_CLOUD, &message, &type, &err);
    if (r == -ENOMSG)
        return;
    lifetime_hold(&t->life);
    if (r < 0 && str_starts(error_id(&err), "message.") && t->state == TUNNEL_UP) {
        answer_bad_message(t, text, len, &err, r);
    } else if (r < 0) {
        (void) error_copy(&t->end_reason, &err);
        ws_conn_close(c, WS_CLOSE_BAD_DATA, error_id(&err));
    } else if (str_equal(type->name, "goaway")) {
        obey_goaway(t, message);
    } else if (t->state == TUNNEL_UP) {
        t->events->on_message(t, message, text, t->userdata);
    } else if (t->state == TUNNEL_GREETING && str_equal(type->name, wants_challenge(t) ? "challenge" : "welcome")) {
        if (wants_challenge(t))
            take_challenge(t, message);
        else
            welcome(t, message);
    } else {
        error_set(&t->end_reason, EPROTO, "tunnel.no-welcome", "%s:%u sent \"%s\" where %s should be", t->url.host,
                  t->url.port, type->name, wants_challenge(t) ? "challenge" : "welcome");
        ws_conn_close(c, WS_CLOSE_POLICY, "welcome first");
    }
    tunnel_release(t);
}

static void on_drained(WsConn *c _unused_, void *userdata)
{
    flush(userdata);
}

static void on_stream_open(Mux *m _unused_, MuxStream *s, const cJSON *open, void *userdata)
{
    Tunnel *t = userdata;
    if (t->events->on_stream)
        t->events->on_stream(t, s, open, t->userdata);
    else
        mux_stream_reset(s, "stream.no-target");
}

static int make_carrier(Tunnel *t)
{
    MuxCarrierOptions options = {
        .side = MUX_CLIENT,
        .session_max = MUX_SESSION_MAX_BOX,
        .on_open = on_stream_open,
        .userdata = t,
    };
    int r = t->carrier ? 0 : mux_carrier_new(t->event, &options, &t->carrier);
    if (r < 0 || t->state != TUNNEL_UP || !t->ws)
        return r;
    use_events(t);
    mux_carrier_attach(t->carrier, t->ws);
    return 0;
}

Mux *tunnel_mux(Tunnel *t)
{
    if (!t->carrier && make_carrier(t) < 0)
        return NULL;
    return mux_carrier_mux(t->carrier);
}

static void on_binary(WsConn *c, const uint8_t *data, size_t len, void *userdata)
{
    Tunnel *t = userdata;
    if (t->state != TUNNEL_UP || (!t->carrier && make_carrier(t) < 0)) {
        ws_conn_close(c, t->state == TUNNEL_UP ? WS_CLOSE_INTERNAL : WS_CLOSE_POLICY, "welcome first");
        return;
    }
    lifetime_hold(&t->life);
    mux_carrier_on_binary(t->carrier, data, len);
    tunnel_release(t);
}

static void on_writable(WsConn *c, void *userdata)
{
    Tunnel *t = userdata;
    if (!t->carrier) {
        ws_conn_want_write(c, false);
        return;
    }
    lifetime_hold(&t->life);
    mux_carrier_on_writable(t->carrier);
    tunnel_release(t);
}

static void on_ws_closed(WsConn *c _unused_, uint16_t code, const Error *err, void *userdata)
{
    Tunnel *t = userdata;
    lifetime_hold(&t->life);
    if (t->end.cycle)
        error_set(&t->end_reason, ECONNRESET, "tunnel.cycle", "the connection was given up for a new one");
    if (!t->end.goaway && !t->end.cycle && tunnel_gateway_left(code, err ? err->id : NULL)) {
        t->end.goaway = true;
        t->end.spread_usec = t->spread;
    }
    down(t, -ECONNRESET, err);
    tunnel_release(t);
}

static const WsEvents ws_events = {
    .on_text = on_text,
    .on_closed = on_ws_closed,
    .on_drained = on_drained,
};
static const WsEvents ws_events_with_streams = {
    .on_text = on_text,
    .on_binary = on_binary,
    .on_closed = on_ws_closed,
    .on_drained = on_drained,
    .on_writable = on_writable,
};

int tunnel_new(sd_event *event, const TunnelOptions *options, Tunnel **ret, Error *err)
{
    _cleanup_(tunnel_freep) Tunnel *t = calloc(1, sizeof *t);
    if (!t)
        return -ENOMEM;
    t->event = sd_event_ref(event);
    t->events = options->events;
    t->userdata = options->userdata;
    t->backoff = BACKOFF_TUNNEL;
    t->queue = SEND_QUEUE_INIT(TUNNEL_QUEUE_MESSAGES_MAX, TUNNEL_QUEUE_BYTES_MAX);
    /* A head, and frames that may come right behind it in the same read. */
    t->answer = BUF_INIT((size_t) 8 * HTTP_HEADER_MAX);
    int r = ws_url_parse(options->url ? options->url : "", "tunnel.bad-url", &t->url, err);
    if (r < 0)
        return r;
    if (options->ca_file && !(t->ca_file = strdup(options->ca_file)))
        return error_from_errno(err, -ENOMEM, "cannot start the tunnel");
    if (t->url.tls)
        r = load_authorities(t, err);
    if (r < 0)
        return r;
    t->spread = GONE_SPREAD;
    r = tunnel_set_known(t, options->known_addresses, options->time_floor);
    t->state = TUNNEL_WAITING;
    if (r >= 0)
        r = arm(t, 0);
    if (r < 0)
        return error_from_errno(err, r, "cannot start the tunnel");
    *ret = TAKE_PTR(t);
    return 0;
}

int tunnel_set_known(Tunnel *t, const char *const *addresses, uint64_t time_floor)
{
    _cleanup_(strv_freep) char **known = NULL;
    for (; addresses && *addresses; addresses++)
        if (strv_add(&known, *addresses) < 0)
            return -ENOMEM;
    strv_free(t->known);
    t->known = TAKE_PTR(known);
    t->time_floor = time_floor;
    if (t->tls)
        tls_set_time_floor(t->tls, time_floor);
    return 0;
}

const char *tunnel_address(Tunnel *t)
{
    if (tunnel_way_is_proxy(&t->way))
        return NULL;
    _cleanup_(freep) char *host = host_port_host(peer_of(t));
    size_t len = host ? strlen(host) : sizeof t->address;
    if (len >= sizeof t->address)
        return NULL;
    memcpy(t->address, host, len + 1);
    return t->address;
}

bool tunnel_goes_past_proxy(const Tunnel *t)
{
    return t->way.has_proxy && t->way.direct;
}

bool tunnel_is_up(const Tunnel *t)
{
    return t->state == TUNNEL_UP;
}

bool tunnel_is_overdue(const Tunnel *t)
{
    return t->due != USEC_INFINITY && boottime_usec() > t->due + USEC_PER_MINUTE;
}

int tunnel_send(Tunnel *t, const char *text, size_t len)
{
    if (len > WS_MESSAGE_MAX)
        return -EMSGSIZE;
    if (!utf8_is_valid(text, len))
        return -EILSEQ;
    if (t->state == TUNNEL_UP && t->queue.n == 0 && ws_conn_send_text(t->ws, text, len) >= 0)
        return 0;
    return send_queue_push(&t->queue, text, len);
}

int tunnel_send_json(Tunnel *t, const cJSON *message)
{
    _cleanup_(freep) char *text = json_print(message);
    return text ? tunnel_send(t, text, strlen(text)) : -ENOMEM;
}

void tunnel_retry(Tunnel *t)
{
    if (t->life.ended || (t->state != TUNNEL_IDLE && t->state != TUNNEL_WAITING))
        return;
    if (enter(t, TUNNEL_RETRY) < 0 || arm(t, 0) < 0)
        t->state = TUNNEL_IDLE;
}

void tunnel_cycle(Tunnel *t)
{
    if (t->life.ended || t->state == TUNNEL_LEAVING)
        return;
    if (t->state == TUNNEL_UP) {
        t->end.cycle = true;
        leave(t, "cycle");
        return;
    }
    /* A connection under way may be older than the change that wants a new one. */
    disconnect(t);
    t->end = (TunnelEnd) {};
    t->state = TUNNEL_IDLE;
    tunnel_retry(t);
}

/* SPDX-License-Identifier: MIT */
/* Requests: their life, their answers, their errors. */
#include "gateway/http/request.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "gateway/auth/audit.h"
#include "gateway/http/token-addresses.h"
#include "gateway/store/tokens-table.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/base/map.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/event/daemon.h"

#define JSON_TYPE "application/json"
#define NO_MEMORY "{\"error\":{\"id\":\"system.error\",\"message\":\"out of memory\"}}"
#define RETRY_SECONDS 5
#define POLL_SECONDS_MAX 30

struct Requests {
    request_ticket_t take_ticket; /* NULL: there are no tickets */
    void *tickets;
    sd_event *event;
    Store *store;
    Map *map; /* by id → Request, owned */
    TokenAddressMap *addresses;
    request_gate_t gate; /* may be NULL */
    void *gate_userdata;
};

typedef struct StatusRow {
    int code, status;
} StatusRow;

static const StatusRow status_table[] = {
    { EINVAL, 400 }, { EKEYREJECTED, 401 }, { EACCES, 403 },    { ENOENT, 404 },  { EEXIST, 409 },
    { EBUSY, 409 },  { EFBIG, 413 },        { EMSGSIZE, 413 },  { EBADMSG, 422 }, { ENOTCONN, 503 },
    { EAGAIN, 429 }, { ENOBUFS, 503 },      { ETIMEDOUT, 504 },
};

int http_status_for(int r)
{
    for (size_t i = 0; i < ELEMENTSOF(status_table); i++)
        if (status_table[i].code == -r)
            return status_table[i].status;
    return 500;
}

/* `header` may be NULL. */
static void respond_with(HttpExchange *x, int status, const char *text, const char *header)
{
    const char *const headers[] = { "Cache-Control: no-store", header, NULL };
    http_respond(x, status, JSON_TYPE, text, strlen(text), headers);
}

static void respond_later(HttpExchange *x, int status, const char *text, unsigned retry_seconds)
{
    char retry[32];
    (void) snprintf(retry, sizeof(retry), "Retry-After: %u", retry_seconds);
    respond_with(x, status, text, retry_seconds > 0 ? retry : NULL);
}

static void respond(HttpExchange *x, int status, const char *text)
{
    respond_later(x, status, text, status == 503 || status == 429 ? RETRY_SECONDS : 0);
}

void exchange_fail_busy(HttpExchange *x, unsigned retry_seconds, const Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *body = cJSON_CreateObject();
    _cleanup_(freep) char *text = NULL;
    if (body && json_add_item(body, "error", json_from_error(err, -EBUSY)) >= 0)
        text = json_print(body);
    respond_later(x, 503, text ? text : NO_MEMORY, retry_seconds);
}

void exchange_fail(HttpExchange *x, int status, int r, const Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *body = cJSON_CreateObject();
    char now[TIMESTAMP_SIZE];
    _cleanup_(freep) char *text = NULL;
    /* a box whose clock is wrong corrects its proofs by this */
    if (body && json_add_item(body, "error", json_from_error(err, r)) >= 0 &&
        (status != 401 || json_add_string(body, "serverTime", timestamp_format(realtime_usec(), now)) >= 0))
        text = json_print(body);
    respond(x, text ? status : 500, text ? text : NO_MEMORY);
}

static void on_client_gone(HttpExchange *x _unused_, void *userdata)
{
    Request *c = userdata;
    c->exchange = NULL;
    request_free(c);
}

Requests *requests_new(sd_event *event, Store *store)
{
    Requests *rs = calloc(1, sizeof(*rs));
    if (!rs)
        return NULL;
    *rs = (Requests) { .event = event, .store = store, .map = map_new(NULL) };
    rs->addresses = token_addresses_new(store);
    return rs->map && rs->addresses ? rs : requests_free(rs);
}

void request_note_address(Request *c)
{
    token_addresses_note(c->requests->addresses, c->token_hash, c->actor, http_peer(c->exchange));
}

void request_note_read(const Request *c, const char *action)
{
    token_addresses_note_read(c->requests->addresses, c->token_hash, c->actor, action);
}

/* Nobody waits for it, and a database that takes nothing keeps nobody from reading. */
void request_note_used(const Request *c)
{
    if (store_query(c->requests->store, sql_token_used(c->token_hash), NULL, NULL, NULL, NULL) < 0)
        log_debug("that a token was used is written down the next time");
}

void requests_set_gate(Requests *rs, request_gate_t gate, void *userdata)
{
    rs->gate = gate;
    rs->gate_userdata = userdata;
}

Requests *requests_free(Requests *rs)
{
    void *value;
    if (!rs)
        return NULL;
    for (size_t i = 0; rs->map && map_next(rs->map, &i, NULL, &value);)
        request_free(value);
    map_free(rs->map);
    token_addresses_free(rs->addresses);
    free(rs);
    return NULL;
}

void requests_set_tickets(Requests *rs, request_ticket_t take, void *userdata)
{
    rs->take_ticket = take;
    rs->tickets = userdata;
}

int request_token_hash(Request *c, char ret[static SECRET_HASH_SIZE], Error *err)
{
    const Requests *rs = c->requests;
    _cleanup_(secret_freep) char *ticket =
        c->route->access == ACCESS_TICKET && rs->take_ticket ? http_query(c->exchange, "ticket") : NULL;

    c->by_ticket = ticket;
    return ticket ? rs->take_ticket(c, ticket, rs->tickets, ret, err) : operator_token_hash(c->exchange, ret, err);
}

Request *requests_find(const Requests *rs, const char *id)
{
    return map_get(rs->map, id);
}

void requests_tell(Requests *rs, const void *news, const char *topic_format, ...)
{
    va_list args;
    va_start(args, topic_format);
    _cleanup_(freep) char *topic = str_vformat(topic_format, args);
    va_end(args);
    void *value;
    for (size_t i = 0; topic && map_next(rs->map, &i, NULL, &value);) {
        Request *c = value;
        if (c->on_news && str_equal(c->topic, topic))
            c->on_news(c, news);
    }
}

static int request_fill(Request *c, Requests *rs, HttpExchange *x, const Route *route, void *module)
{
    c->requests = rs;
    c->exchange = x;
    c->route = route;
    c->module = module;
    return random_id(c->id) < 0 || map_put(rs->map, c->id, c) < 0 ? -ENOMEM : 0;
}

Request *request_new(Requests *rs, HttpExchange *x, const Route *route, void *module,
                     char *args[static REQUEST_ARGS_MAX])
{
    Request *c = calloc(1, sizeof(*c));
    if (!c || request_fill(c, rs, x, route, module) < 0) {
        for (size_t i = 0; i < REQUEST_ARGS_MAX; i++)
            free(args[i]);
        free(c);
        exchange_fail(x, 500, -ENOMEM, NULL);
        return NULL;
    }
    memcpy(c->args, args, sizeof(c->args));
    http_on_gone(x, on_client_gone, c);
    return c;
}

/* It no longer waits for news. */
static void stop_waiting(Request *c)
{
    c->on_news = NULL;
    c->topic = (free(c->topic), NULL);
    c->timer = sd_event_source_disable_unref(c->timer);
}

Request *request_free(Request *c)
{
    if (!c)
        return NULL;
    map_take(c->requests->map, c->id);
    if (c->exchange)
        http_on_gone(c->exchange, NULL, NULL);
    store_query_free(c->query);
    stop_waiting(c);
    for (size_t i = 0; i < REQUEST_ARGS_MAX; i++)
        free(c->args[i]);
    cJSON_Delete(c->body);
    free(c->actor);
    free(c->token_hash);
    free(c->labels);
    free(c->accounts);
    if (c->scratch)
        c->scratch_free(c->scratch);
    free(c);
    return NULL;
}

static void handle(Request *c)
{
    const Requests *rs = c->requests;
    if (c->route->access >= ACCESS_ANYONE || !rs->gate || !rs->gate(c, rs->gate_userdata))
        c->route->handler(c);
}

static void on_body_whole(HttpExchange *x _unused_, void *userdata)
{
    handle(userdata);
}

void request_run(Request *c)
{
    size_t max = c->route->access < ACCESS_ANYONE ? HTTP_BODY_MAX : GATEWAY_STRANGER_BODY_MAX;
    if (!http_body_is_coming(c->exchange) || http_body_is_long(c->exchange) ||
        http_body_collect(c->exchange, max, on_body_whole, c))
        handle(c);
}

void request_answer_text(Request *c, int status, const char *json)
{
    respond(TAKE_PTR(c->exchange), status, json);
    request_free(c);
}

void request_answer_text_with(Request *c, int status, const char *json, const char *header)
{
    respond_with(TAKE_PTR(c->exchange), status, json, header);
    request_free(c);
}

void request_answer(Request *c, int status, cJSON *body)
{
    _cleanup_(cJSON_Deletep) _unused_ cJSON *owned = body;
    _cleanup_(freep) char *text = body ? json_print(body) : NULL;
    if (!text) {
        request_fail(c, -ENOMEM, NULL);
        return;
    }
    request_answer_text(c, status, text);
}

void request_fail_status(Request *c, int status, int r, const Error *err)
{
    const LogField fields[] = { { "DEVICE", c->args[0] }, {} };
    if (status >= 500)
        log_failure(status == 503 ? LOG_LEVEL_NOTICE : LOG_LEVEL_WARNING, c->args[0] ? fields : NULL, err, r,
                    "%s %s answered with %d", http_method(c->exchange), http_path(c->exchange), status);
    exchange_fail(TAKE_PTR(c->exchange), status, r, err);
    request_free(c);
}

void request_fail(Request *c, int r, const Error *err)
{
    request_fail_status(c, http_status_for(r), r, err);
}

static void on_query_done(StoreQuery *q _unused_, int r, const StoreRows *rows, const Error *err, void *userdata)
{
    Request *c = userdata;
    c->query = NULL;
    if (r < 0)
        request_fail(c, r, err);
    else
        c->on_rows(c, rows);
}

void request_query(Request *c, Statement st, request_rows_t on_rows)
{
    request_query_on(c, c->requests->store, st, on_rows);
}

void request_query_on(Request *c, Store *store, Statement st, request_rows_t on_rows)
{
    Error err = {};
    stop_waiting(c);
    c->on_rows = on_rows;
    int r = store_query(store, st, on_query_done, c, &c->query, &err);
    if (r < 0)
        request_fail(c, r, &err);
    error_done(&err);
}

static int on_wait_over(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
    Request *c = userdata;
    c->on_news(c, NULL);
    return 0;
}

void request_wait(Request *c, usec_t delay, request_news_t on_news, const char *topic_format, ...)
{
    va_list args;
    va_start(args, topic_format);
    free(c->topic);
    c->topic = str_vformat(topic_format, args);
    va_end(args);
    c->on_news = on_news;
    /* without its deadline a request could wait for ever: better to end it now */
    if (!c->topic || timer_arm(c->requests->event, &c->timer, delay, on_wait_over, c) < 0)
        request_fail(c, -ENOMEM, NULL);
}

const cJSON *request_parse_body(Request *c)
{
    Error err = {};
    size_t len = 0;
    const char *text = http_body(c->exchange, &len);
    int r = json_parse_object(text, len, &c->body, &err);
    if (r < 0)
        request_fail_status(c, r == -EFBIG || r == -EMSGSIZE ? 413 : 400, r, &err);
    error_done(&err);
    return r < 0 ? NULL : c->body;
}

int request_query_u64(Request *c, const char *name, uint64_t max, uint64_t fallback, uint64_t *ret)
{
    _cleanup_(freep) char *text = http_query(c->exchange, name);
    if (!text) {
        *ret = fallback;
        return 0;
    }
    if (str_to_u64(text, 0, max, ret) >= 0)
        return 0;
    Error err = {};
    error_set(&err, EINVAL, "request.bad-parameter", "the parameter \"%s\" must be a number from 0 to %llu", name,
              (unsigned long long) max);
    request_fail(c, -EINVAL, &err);
    error_done(&err);
    return -EINVAL;
}

int request_query_wait(Request *c)
{
    uint64_t seconds;
    int r = request_query_u64(c, "wait", INT32_MAX, 0, &seconds);
    if (r < 0)
        return r;
    if (seconds > POLL_SECONDS_MAX)
        seconds = POLL_SECONDS_MAX;
    c->poll_until = seconds > 0 ? boottime_usec() + seconds * USEC_PER_SEC : 0;
    return 0;
}

const char *request_person(const Request *c)
{
    return c->actor + strlen(OPERATOR_ACTOR_PREFIX);
}

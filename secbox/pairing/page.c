/* SPDX-License-Identifier: MIT */
#include "secbox/pairing/page.h"

#include <errno.h>
#include <string.h>

#include "env/claim-document.h"
#include "lib/base/encode.h"
#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "lib/data/digest.h"
#include "lib/data/json.h"
#include "lib/event/daemon.h"
#include "lib/http/origin.h"
#include "lib/http/server.h"
#include "lib/tunnel/agent-request.h"
#include "lib/tunnel/message.h"
#include "secbox/pairing/page-files.h"

#define CONNECTIONS_MAX 64
#define LOOK_INTERVAL (2 * USEC_PER_SEC)
#define ASK_DEADLINE (30 * USEC_PER_SEC)
#define LINGER (2 * USEC_PER_MINUTE)
#define BODY_MAX (4 * (size_t) CLAIM_DOCUMENT_MAX) /* JSON escapes what it holds */
#define PIN_MAX 32
#define JSON_TYPE "application/json"

struct Page {
    sd_event *event;
    sd_event_source *timer;
    char *address, *agent_socket;
    uint16_t port;
    HttpServer *server;
    char *csrf;       /* other sites' pages cannot read it */
    cJSON *pairing;   /* as mgmt-agent said last; NULL: it does not answer */
    usec_t closed_at; /* boottime: since then the page is not needed; 0: it is */
    AgentRequest *look, *order;
    HttpExchange *asker; /* waits for the order's answer; NULL when it went away */
};

static void reply(HttpExchange *x, int status, const char *type, const char *body, size_t len)
{
    static const char policy[] =
        "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
        "connect-src 'self'; media-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    static const char *const headers[] = {
        policy,
        "X-Content-Type-Options: nosniff",
        "X-Frame-Options: DENY",
        "Referrer-Policy: no-referrer",
        "Cross-Origin-Opener-Policy: same-origin",
        "Cross-Origin-Resource-Policy: same-origin",
        "Permissions-Policy: camera=(self), geolocation=(), microphone=()",
        "Cache-Control: no-store",
        NULL,
    };

    http_respond(x, status, type, body, len, headers);
}

static void reply_text(HttpExchange *x, int status, const char *text)
{
    reply(x, status, "text/plain; charset=utf-8", text, strlen(text));
}

static void reply_json(HttpExchange *x, int status, cJSON *body)
{
    _cleanup_(freep) char *text = body ? json_print(body) : NULL;

    cJSON_Delete(body);
    if (text)
        reply(x, status, JSON_TYPE, text, strlen(text));
    else
        reply_text(x, 500, "");
}

static void reply_error(HttpExchange *x, int status, const Error *err, int r)
{
    cJSON *body = cJSON_CreateObject();

    if (body && json_add_item(body, "error", json_from_error(err, r)) < 0) {
        cJSON_Delete(body);
        body = NULL;
    }
    reply_json(x, status, body);
}

static void refuse(HttpExchange *x, int status, const char *id, const char *sentence)
{
    const Error err = { .id = id, .message = (char *) (uintptr_t) sentence };

    reply_error(x, status, &err, -EINVAL);
}

static void reply_state(const Page *p, HttpExchange *x)
{
    _cleanup_(cJSON_Deletep) cJSON *body = cJSON_CreateObject();

    if (!body || json_add_string(body, "csrf", p->csrf) < 0 ||
        (p->pairing && json_add_item(body, "pairing", cJSON_Duplicate(p->pairing, true)) < 0))
        reply_text(x, 500, "");
    else
        reply_json(x, 200, TAKE_PTR(body));
}

static int status_of(const Error *err, int r)
{
    const char *id = error_id(err);

    if (r != -EREMOTEIO)
        return 503; /* mgmt-agent did not answer */
    if (str_equal(id, "pair.locked"))
        return 429;
    if (str_equal(id, "pair.wrong-pin"))
        return 403;
    if (str_equal(id, "pair.claimed") || str_equal(id, "pair.claiming"))
        return 409;
    return str_starts(id, "claim.") ? 400 : 500;
}

/* `report` is a pair.report; NULL: none came. */
static void keep_state(Page *p, const cJSON *report)
{
    const cJSON *pairing = cJSON_GetObjectItemCaseSensitive(report, "pairing");
    usec_t now = boottime_usec();

    cJSON_Delete(p->pairing);
    p->pairing = pairing ? cJSON_Duplicate(pairing, true) : NULL;
    if (pairing && json_bool(pairing, "open", false))
        p->closed_at = 0;
    else if (pairing && p->closed_at == 0)
        p->closed_at = now;
}

static void on_order(int r, const cJSON *report, const Error *err, void *userdata)
{
    Page *p = userdata;
    HttpExchange *x = TAKE_PTR(p->asker);

    p->order = NULL;
    if (r >= 0)
        keep_state(p, report);
    if (x && r >= 0)
        reply_state(p, x);
    else if (x)
        reply_error(x, status_of(err, r), err, r);
}

static void on_gone(HttpExchange *x _unused_, void *userdata)
{
    Page *p = userdata;

    p->asker = NULL;
}

/* What comes from a page of our own, and says what it is. */
static bool is_allowed(const Page *p, HttpExchange *x)
{
    const char *token = http_header(x, "X-CSRF-Token"), *type = http_header(x, "Content-Type");
    size_t len = 0;

    (void) http_body(x, &len);
    if (http_is_from_elsewhere("http", http_header(x, "Host"), http_header(x, "Origin"),
                               http_header(x, "Sec-Fetch-Site")) ||
        !token || !secret_equal(token, p->csrf))
        refuse(x, 403, "page.elsewhere", "this request does not come from the pairing page: open the page again");
    else if (!type || !str_starts(type, JSON_TYPE))
        refuse(x, 415, "page.bad-request", "send JSON, with Content-Type: application/json");
    else if (len > BODY_MAX)
        refuse(x, 413, "claim.too-large", "this is too long for a claim: is it the right code?");
    else
        return true;
    return false;
}

static int ask_agent(Page *p, cJSON *request, agent_request_done_t on_done, AgentRequest **ret, Error *err)
{
    return agent_request_start(p->event, p->agent_socket, request, "pair.report", ASK_DEADLINE, on_done, p, ret, err);
}

/* A message for mgmt-agent with what the body says; NULL: it was answered. */
static cJSON *read_order(HttpExchange *x, const char *type)
{
    _cleanup_(cJSON_Deletep) cJSON *body = NULL, *m = message_new(type);
    bool claims = str_equal(type, "pair.claim");
    size_t len = 0;
    const char *text = http_body(x, &len);

    if (json_parse_object(text, len, &body, NULL) < 0 || !json_string(body, "pin") ||
        strlen(json_string(body, "pin")) > PIN_MAX || (claims && !json_string(body, "claim"))) {
        refuse(x, 400, "page.bad-request", "a request has a PIN, and a claim");
        return NULL;
    }
    if (claims && strlen(json_string(body, "claim")) > CLAIM_DOCUMENT_MAX) {
        refuse(x, 413, "claim.too-large", "this is too long for a claim: is it the right code?");
        return NULL;
    }
    if (!m || json_add_string(m, "pin", json_string(body, "pin")) < 0 ||
        (claims && json_add_string(m, "claim", json_string(body, "claim")) < 0)) {
        reply_text(x, 500, "");
        return NULL;
    }
    return TAKE_PTR(m);
}

static void order(Page *p, HttpExchange *x, const char *type)
{
    _cleanup_(cJSON_Deletep) cJSON *m = NULL;
    _cleanup_(error_done) Error err = {};

    if (!is_allowed(p, x))
        return;
    if (p->order) {
        refuse(x, 503, "page.busy", "somebody else's request is under way: try again");
        return;
    }
    m = read_order(x, type);
    if (!m)
        return;
    int r = ask_agent(p, m, on_order, &p->order, &err);
    if (r < 0) {
        reply_error(x, 503, &err, r);
        return;
    }
    p->asker = x;
    http_on_gone(x, on_gone, p);
}

static void on_request(HttpExchange *x, void *userdata)
{
    Page *p = userdata;
    const char *method = http_method(x), *path = http_path(x);
    const PageFile *file = page_file_find(path);
    bool get = str_equal(method, "GET") || str_equal(method, "HEAD");

    if (!page_host_is_ours(http_header(x, "Host")))
        reply_text(x, 421, "this name is not the box's: use its address\n");
    else if (get && file)
        reply(x, 200, file->type, (const char *) file->data, (size_t) (file->end - file->data));
    else if (get && str_equal(path, "/api/state"))
        reply_state(p, x);
    else if (str_equal(method, "POST") && str_equal(path, "/api/claim"))
        order(p, x, "pair.claim");
    else if (str_equal(method, "POST") && str_equal(path, "/api/end"))
        order(p, x, "pair.end");
    else
        reply_text(x, 404, "not here\n");
}

static int listen_now(Page *p, Error *err)
{
    const HttpServerOptions options = {
        .address = p->address,
        .port = p->port,
        .max_connections = CONNECTIONS_MAX,
        .handler = on_request,
        .userdata = p,
    };
    int r = http_server_new(p->event, &options, &p->server, err);

    if (r >= 0) {
        log_notice("the pairing page is on port %u", http_server_port(p->server));
        service_status("waiting for a claim");
    }
    return r;
}

/* The page comes and goes with what mgmt-agent says. */
static void follow(Page *p)
{
    _cleanup_(error_done) Error err = {};
    bool open = p->pairing && p->closed_at == 0;

    if (open && !p->server) {
        int r = listen_now(p, &err);
        if (r < 0) {
            log_failure(LOG_LEVEL_ERROR, NULL, &err, r, "the pairing page cannot be shown");
            (void) sd_event_exit(p->event, 1);
        }
    } else if (p->closed_at > 0 && (!p->server || boottime_usec() - p->closed_at > LINGER)) {
        log_notice("the box is paired: the page ends");
        (void) sd_event_exit(p->event, 0);
    }
}

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata);

static void on_look(int r _unused_, const cJSON *report, const Error *err _unused_, void *userdata)
{
    Page *p = userdata;

    p->look = NULL;
    keep_state(p, report);
    follow(p);
    if (timer_arm(p->event, &p->timer, LOOK_INTERVAL, on_timer, p) < 0)
        (void) sd_event_exit(p->event, 1);
}

static void look(Page *p)
{
    _cleanup_(cJSON_Deletep) cJSON *m = message_new("pair.get");
    _cleanup_(error_done) Error err = {};
    int r = m ? ask_agent(p, m, on_look, &p->look, &err) : -ENOMEM;

    if (r < 0)
        on_look(r, NULL, &err, p);
}

static int on_timer(sd_event_source *s _unused_, uint64_t usec _unused_, void *userdata)
{
    look(userdata);
    return 0;
}

int page_new(sd_event *event, const PageOptions *options, Page **ret, Error *err)
{
    _cleanup_(page_freep) Page *p = calloc(1, sizeof(*p));
    unsigned char random[16];

    if (!p)
        return error_from_errno(err, -ENOMEM, "cannot start");
    random_bytes(random, sizeof(random));
    p->event = sd_event_ref(event);
    p->csrf = hex_encode(random, sizeof(random));
    p->address = strdup(options->address);
    p->agent_socket = strdup(options->agent_socket);
    p->port = options->port;
    if (!p->csrf || !p->address || !p->agent_socket)
        return error_from_errno(err, -ENOMEM, "cannot start");
    look(p);
    *ret = TAKE_PTR(p);
    return 0;
}

Page *page_free(Page *p)
{
    if (!p)
        return NULL;
    agent_request_free(p->look);
    agent_request_free(p->order);
    http_server_free(p->server);
    sd_event_source_disable_unref(p->timer);
    cJSON_Delete(p->pairing);
    free(p->csrf);
    free(p->address);
    free(p->agent_socket);
    sd_event_unref(p->event);
    free(p);
    return NULL;
}

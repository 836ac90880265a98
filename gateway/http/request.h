/* SPDX-License-Identifier: MIT */
/* One HTTP request from its arrival to its answer, through whatever it has to wait for. A request is answered
 * exactly once; the functions below that answer also free it. It vanishes silently when its client goes away.
 */
#pragma once

#include <cjson/cJSON.h>

#include "gateway/auth/operator-tokens.h"
#include "gateway/auth/secrets.h"
#include "lib/postgres/store.h"
#include "lib/http/server.h"

#define REQUEST_ARGS_MAX 4

typedef struct Request Request;
typedef struct Requests Requests; /* all that are not answered yet */
typedef void (*request_rows_t)(Request *c, const StoreRows *rows);
/* Whoever waits and whoever tells agree on what the news points to; NULL: the time is over. */
typedef void (*request_news_t)(Request *c, const void *news);

/* Who may. The first six take a named operator token with that role, or with one that may more. */
typedef enum RouteAccess {
    ACCESS_ADMIN,    /* what cannot be taken back, and where data goes */
    ACCESS_OPERATOR, /* what changes boxes or data */
    ACCESS_DEPLOY,   /* of that, what runs on boxes */
    ACCESS_SUPPORT,  /* of that, logging in to boxes */
    ACCESS_TICKET,   /* as ACCESS_OPERATOR, or a ticket that stands for such a token: requests_set_tickets() */
    ACCESS_VIEWER,   /* what changes nothing */
    ACCESS_ANYONE,   /* the handler checks for itself (boxes) */
    ACCESS_ALWAYS,   /* the same, even while the gateway starts */
} RouteAccess;

typedef struct Route {
    const char *method;
    const char *path; /* a star stands for one segment */
    RouteAccess access;
    void (*handler)(Request *c);
    const char *help;
} Route;

struct Request {
    Requests *requests;
    HttpExchange *exchange;
    const Route *route;
    void *module;                 /* that the route belongs to */
    OperatorTokens *tokens;       /* borrowed */
    char id[RANDOM_ID_SIZE];      /* also the id of what it asks a box */
    char *args[REQUEST_ARGS_MAX]; /* what the path's stars stood for: device, version */
    char *actor;                  /* "operator:NAME" once known */
    bool is_admin;                /* the operator's token has that role */
    char *token_hash;             /* of the token that the operator has shown */
    bool by_ticket;               /* it has shown a ticket that stands for the token */
    char *labels;                 /* that a box must have for this operator, a JSON object; NULL: any box */
    char *accounts;               /* on boxes that this operator may log in as, a JSON array; NULL: any */
    cJSON *body;
    StoreQuery *query;
    request_rows_t on_rows;
    usec_t poll_until; /* CLOCK_BOOTTIME; how long the client waits for a change */

    /* while it waits for news */
    char *topic;
    request_news_t on_news;
    sd_event_source *timer;

    /* what one handler keeps between its steps */
    void *scratch;
    void (*scratch_free)(void *scratch);
};

Requests *requests_new(sd_event *event, Store *store);
/* Ends all of them without an answer. NULL-safe. */
Requests *requests_free(Requests *rs);
/* The hash of the token that a ticket, which is in ?ticket=, stands for where the request wants to go; a ticket may be used up by
 * it. */
typedef int (*request_ticket_t)(const Request *c, const char *ticket, void *userdata, char ret[static SECRET_HASH_SIZE],
                                Error *err);
/* For routes with ACCESS_TICKET. */
void requests_set_tickets(Requests *rs, request_ticket_t take, void *userdata);
/* The hash of the operator token that a request shows, itself or by a ticket; the errors of operator_token_hash() or of the
 * ticket. */
int request_token_hash(Request *c, char ret[static SECRET_HASH_SIZE], Error *err) _must_check_;
/* NULL when it was answered, or when its client is gone. */
Request *requests_find(const Requests *rs, const char *id);
/* Sees each operator's request, with its body, when it may run. True: it has taken the request over, and calls the route's handler
 * later or never. */
typedef bool (*request_gate_t)(Request *c, void *userdata);
void requests_set_gate(Requests *rs, request_gate_t gate, void *userdata);
/* Hands the news to every request that waits for this topic. */
void requests_tell(Requests *rs, const void *news, const char *topic_format, ...) _printf_(3, 4);

/* Takes the exchange over; `args` and what they point to, too. NULL when out of memory (it was answered then). */
Request *request_new(Requests *rs, HttpExchange *x, const Route *route, void *module,
                     char *args[static REQUEST_ARGS_MAX]);
/* Frees without answering. */
Request *request_free(Request *c);
/* Notes in the audit log from where its token is used, if that is news. */
void request_note_address(Request *c);
/* That it reads what `action` names: token_addresses_note_read(). */
void request_note_read(const Request *c, const char *action);
/* Writes down that its token is used now. */
void request_note_used(const Request *c);

/* Whoever asks may: calls the route's handler, with the whole body if there is one that is not long. A stranger's is short. */
void request_run(Request *c);

/* Answers with JSON. `body` is taken. */
void request_answer(Request *c, int status, cJSON *body);
void request_answer_text(Request *c, int status, const char *json);
/* With one more header, "Name: value". */
void request_answer_text_with(Request *c, int status, const char *json, const char *header);
/* Answers {"error": …} with the status that belongs to r, or with `status`. */
void request_fail(Request *c, int r, const Error *err);
void request_fail_status(Request *c, int status, int r, const Error *err);

/* Runs a statement and hands its rows to on_rows; when the store fails the request is answered. The request must
 * not be used after this until on_rows. It no longer waits for news. */
void request_query(Request *c, Statement st, request_rows_t on_rows);
/* The same over another connection to the database. */
void request_query_on(Request *c, Store *store, Statement st, request_rows_t on_rows);

/* Waits for news on a topic: on_news is called for each, until the request is answered or asks the store. Answers with an
 * error if that is not possible, so it comes last in a handler. */
void request_wait(Request *c, usec_t delay, request_news_t on_news, const char *topic_format, ...) _printf_(4, 5);

/* Parses the body, which must be a JSON object. On failure the request is answered and NULL returned. */
const cJSON *request_parse_body(Request *c);
/* A decimal query parameter, or the fallback; on failure the request is answered and negative returned. */
int request_query_u64(Request *c, const char *name, uint64_t max, uint64_t fallback, uint64_t *ret) _must_check_;
/* Reads ?wait=SECONDS into poll_until; the same on failure. */
int request_query_wait(Request *c) _must_check_;

/* The name of the operator who asks; borrowed. */
const char *request_person(const Request *c);

/* The HTTP status that belongs to a negative errno. */
int http_status_for(int r);
/* Answers an exchange that has no request. */
void exchange_fail(HttpExchange *x, int status, int r, const Error *err);
/* 503, and when to come back. */
void exchange_fail_busy(HttpExchange *x, unsigned retry_seconds, const Error *err);

/* SPDX-License-Identifier: MIT */
/* One HTTP request from its arrival to its answer, through whatever it has to wait for. A request is answered
 * exactly once; the functions below that answer also free it. It vanishes silently when its client goes away.
 */
#pragma once

#include <cjson/cJSON.h>

#include "gateway/gateway.h"
#include "lib/http/server.h"

#define REQUEST_ID_SIZE 33
#define REQUEST_ARGS_MAX 2

typedef struct Request Request;
typedef struct Route Route;
typedef void (*request_rows_t)(Request *c, const StoreRows *rows);

struct Request {
    Gateway *gateway;
    HttpExchange *exchange;
    const Route *route;
    char id[REQUEST_ID_SIZE];     /* also the id of what it asks a box */
    char *args[REQUEST_ARGS_MAX]; /* what the path's stars stood for: device, version */
    char *actor;               /* "operator:NAME" once known */
    char *token_hash;          /* of the token that the operator has shown */
    cJSON *body;
    StoreQuery *query;
    request_rows_t on_rows;
    sd_event_source *timer;

    /* waiting for a box's answer to the message with this request's id */
    char *asked; /* device */
    void (*on_answer)(Request *c, const char *type, const cJSON *message);

    /* waiting for news of deployment args[0]/version */
    uint64_t version, after;
    usec_t wait_until; /* CLOCK_BOOTTIME */
    void (*on_news)(Request *c, bool final);

    /* what one handler keeps between its steps */
    void *scratch;
    void (*scratch_free)(void *scratch);
};

/* Takes the exchange over. NULL when out of memory (it was answered then). */
Request *request_new(Gateway *g, HttpExchange *x, const Route *route);
/* Frees without answering: for the end of the program and for clients that went away. */
Request *request_free(Request *c);

/* Answers with JSON. `body` is taken. */
void request_answer(Request *c, int status, cJSON *body);
void request_answer_text(Request *c, int status, const char *json);
/* Answers {"error": …} with the status that belongs to r, or with `status`. */
void request_fail(Request *c, int r, const Error *err);
void request_fail_status(Request *c, int status, int r, const Error *err);

/* Runs a statement and hands its rows to on_rows; when the store fails the request is answered. The request must
 * not be used after this until on_rows. */
void request_query(Request *c, Statement st, request_rows_t on_rows);

/* Arms the request's deadline; answers with an error if that fails, so it comes last in a handler. */
void request_set_timer(Request *c, usec_t delay, sd_event_time_handler_t handler);

/* Parses the body, which must be a JSON object. On failure the request is answered and NULL returned. */
const cJSON *request_parse_body(Request *c);
/* A decimal query parameter, or the fallback; on failure the request is answered and negative returned. */
int request_query_u64(Request *c, const char *name, uint64_t max, uint64_t fallback, uint64_t *ret) _must_check_;

/* The HTTP status that belongs to a negative errno. */
int http_status_for(int r);
/* Answers an exchange that has no request. */
void exchange_fail(HttpExchange *x, int status, int r, const Error *err);
/* 503, and when to come back. */
void exchange_fail_busy(HttpExchange *x, unsigned retry_seconds, const Error *err);

/* 32 hexadecimal digits of randomness. 0 or -ENOMEM. */
int random_id(char ret[static REQUEST_ID_SIZE]) _must_check_;

/* SPDX-License-Identifier: MIT */
/* The operators' end of bridge SSH: one WebSocket for a person and a box, whose streams go on over the next connection of
 * the same person that knows the same secret. */
#pragma once

#include <cjson/cJSON.h>

#include "gateway/http/request.h"

typedef struct Operator Operator;
typedef struct OperatorConn OperatorConn;

/* GET /v1/devices/ID/bridge: answers the request with an upgrade, or refuses it. */
void operator_accept(Request *c);

const char *operator_person(const Operator *o);
const char *operator_device(const Operator *o);
/* The hash of the token that its present connection, or its last one, was opened with. */
const char *operator_token(const Operator *o);
/* Of the tokens that hold a connection, or a bridge. */
int operators_add_tokens(const Gateway *g, char ***tokens) _must_check_;
/* Ends the connections that a token has opened, and what waits for the next one. */
void operators_end_token(Gateway *g, const char *token, const char *reason);
/* Sends a message; it is lost while the operator is not connected. */
void operator_send(Operator *o, const cJSON *message);

/* Says goaway to everyone: the program ends. */
void operator_farewell(Gateway *g);

/* For the end of the program. */
void operator_free(void *operator);
void operator_conn_free(void *conn);

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
/* Sends a message; it is lost while the operator is not connected. */
void operator_send(Operator *o, const cJSON *message);

/* Says goaway to everyone: the program ends. */
void operator_farewell(Gateway *g);

/* For the end of the program. */
void operator_free(void *operator);
void operator_conn_free(void *conn);

/* SPDX-License-Identifier: MIT */
/* The operators' end of bridge SSH: one WebSocket for a person and a box, whose streams go on over the next connection of
 * the same person that knows the same secret. */
#pragma once

#include <cjson/cJSON.h>

#include "gateway/auth/device-registry.h"
#include "gateway/http/request.h"
#include "lib/mux/mux.h"

typedef struct Operator Operator;   /* one person at one box */
typedef struct Operators Operators; /* all of them */

/* An operator asks for a stream: takes or refuses it. */
typedef void (*operator_stream_t)(Operator *o, MuxStream *s, const cJSON *open, void *userdata);

/* NULL when out of memory. What is given is borrowed. */
Operators *operators_new(sd_event *event, const DeviceRegistry *registry, operator_stream_t on_stream, void *userdata);
/* NULL-safe. */
Operators *operators_free(Operators *os);

extern const Route operator_routes[]; /* of the Operators */

const char *operator_person(const Operator *o);
const char *operator_device(const Operator *o);
/* The hash of the token that its present connection, or its last one, was opened with. */
const char *operator_token(const Operator *o);
/* Sends a message; it is lost while the operator is not connected. */
void operator_send(Operator *o, const cJSON *message);

/* Adds the hashes of the tokens that hold a connection, or a bridge, to a list. */
int operators_add_tokens(const Operators *os, char ***tokens) _must_check_;
/* Ends the connections that a token has opened, and what waits for the next one. */
void operators_end_token(Operators *os, const char *token, const char *reason);
/* Closes all connections: the program ends. */
void operators_farewell(Operators *os);

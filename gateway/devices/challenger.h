/* SPDX-License-Identifier: MIT */
/* The way into /recovery without a token: whoever connects gets a nonce and has one hello to prove the box's key over it.
 * None of this depends on a clock, and what strangers can make us hold is bounded. */
#pragma once

#include "gateway/devices/claim-key.h"
#include "lib/http/server.h"
#include "lib/websocket/connection.h"

typedef struct Challenger Challenger;

/* The key has been proved and is the device's; `hello` is what it said. Takes ws when it returns 0. */
typedef int (*challenge_proved_t)(const char *device, WsConn *ws, const char *hello, size_t len, Error *err,
                                  void *userdata);

/* NULL when out of memory. What is given is borrowed. */
Challenger *challenger_new(sd_event *event, const Claims *claims, challenge_proved_t on_proved, void *userdata);
/* Ends all challenges. NULL-safe. */
Challenger *challenger_free(Challenger *ch);

/* Upgrades and challenges. On failure nothing was answered yet. */
int challenger_accept(Challenger *ch, HttpExchange *x, Error *err) _must_check_;

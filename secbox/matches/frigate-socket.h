/* SPDX-License-Identifier: MIT */
/* The WebSocket by which Frigate tells what it sees: opened again whenever it ends. Frigate takes orders by the same way, from
 * anybody who can reach it: secbox sends nothing there.
 *
 * Frigate tells the same by MQTT. That would need a broker, another login and another library, and is no better kept: both lose
 * what is said while nobody listens. So whoever uses this asks Frigate for what was missed each time that it opens. */
#pragma once

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "lib/base/error.h"
#include "secbox/cameras/frigate.h"

typedef struct FrigateSocket FrigateSocket;

typedef struct FrigateSocketEvents {
    void (*on_open)(void *userdata); /* from now on nothing is missed */
    void (*on_text)(const char *text, size_t len, void *userdata);
    /* http_status: that of a server that refused it, else 0. It is tried again. */
    void (*on_closed)(int http_status, const Error *err, void *userdata);
} FrigateSocketEvents;

/* `frigate` is borrowed. Nothing is opened before frigate_socket_want(). */
int frigate_socket_new(sd_event *event, const Frigate *frigate, const FrigateSocketEvents *events, void *userdata,
                       FrigateSocket **ret) _must_check_;
FrigateSocket *frigate_socket_free(FrigateSocket *s);
DEFINE_CLEANUP(FrigateSocket, frigate_socket_free)

/* While it is wanted it is opened again after each end. What is open stays open. */
void frigate_socket_want(FrigateSocket *s, bool want);
bool frigate_socket_is_open(const FrigateSocket *s);

/* SPDX-License-Identifier: MIT */
/* One tunnel of one box: hello and welcome, messages in and out, and the registry of who is connected. */
#pragma once

#include <cjson/cJSON.h>

#include "gateway/gateway.h"
#include "lib/mux/mux.h"
#include "lib/websocket/connection.h"

#define TUNNEL_SUBPROTOCOL "secbox.v1"

typedef struct DeviceConn DeviceConn;

/* Answers an upgrade request for the tunnel of this role. */
void device_conn_accept(Gateway *g, HttpExchange *x, Role role);
/* Makes a connection whose peer has proved its key the box's tunnel; `hello` is what it said. Takes ws on success. */
int device_conn_adopt(Gateway *g, Role role, const char *device, WsConn *ws, const char *hello, size_t len,
                  Error *err) _must_check_;
/* Whether the path is a tunnel's. */
bool device_conn_path(const char *path, Role *ret);

/* The box's live tunnel for a role (after welcome), or NULL. */
DeviceConn *device_conn_find(const Gateway *g, const char *device, Role role);

/* Sends one message. -ENOTCONN, -ENOBUFS, -ENOMEM. */
int device_conn_send(DeviceConn *s, const cJSON *message) _must_check_;

/* Whether the box takes streams in this tunnel. */
bool device_conn_takes_streams(const DeviceConn *s);
/* The streams in this tunnel, made at the first call; NULL when out of memory, or when the box takes none. Not to be kept:
 * they go when the tunnel's connection and the last stream are over. */
Mux *device_conn_mux(DeviceConn *s);

const char *device_conn_device(const DeviceConn *s);
Role device_conn_role(const DeviceConn *s);
/* Never the same twice while the program runs; above 0. */
uint64_t device_conn_number(const DeviceConn *s);
/* The highest deployment version that the box has spoken of. */
uint64_t device_conn_version_floor(const DeviceConn *s);
/* Whether agent.status has come through it, and whether that said that the agent takes image.update. */
bool device_conn_agent_spoke(const DeviceConn *s);
bool device_conn_takes_updates(const DeviceConn *s);

/* Adds "connected", "connectedSince", "peer" and "roles" about a device. */
int device_conn_describe(const Gateway *g, const char *device, cJSON *object) _must_check_;

/* Closes the tunnel of one role: its key is no longer the key. */
void device_conn_close_key(Gateway *g, const char *device, Role role);
/* Closes the tunnel of one role, if there is one. */
void device_conn_close_role(Gateway *g, const char *device, Role role, uint16_t code, const char *reason);
/* Closes all tunnels of a device. */
void device_conn_close_device(Gateway *g, const char *device);
/* Says goaway to everyone: the program ends. */
void device_conn_farewell(Gateway *g);
/* Writes what waits to be written about boxes, when the store has room. */
void device_conn_sweep(Gateway *g);
DeviceConn *device_conn_free(DeviceConn *s);

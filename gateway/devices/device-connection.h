/* SPDX-License-Identifier: MIT */
/* The tunnels of the boxes: who is connected, messages in and out. A tunnel begins in device-accept.h. Other modules listen:
 * nothing here knows them. */
#pragma once

#include <cjson/cJSON.h>

#include "gateway/auth/device-registry.h"
#include "gateway/auth/device-tokens.h"
#include "gateway/devices/agent-orders.h"
#include "lib/postgres/store.h"
#include "lib/mux/mux.h"
#include "lib/websocket/connection.h"

typedef struct DeviceConn DeviceConn;   /* one tunnel of one box */
typedef struct DeviceConns DeviceConns; /* all of them */

typedef struct DeviceMessage {
    const char *type;
    bool mgmt_only; /* what comes by another tunnel is ignored */
    void (*handle)(DeviceConn *s, const cJSON *message, void *userdata);
} DeviceMessage;

/* All members may be NULL. */
typedef struct DeviceListener {
    const DeviceMessage *messages; /* ends with {} */
    /* Those that count while the tunnel is kept for its last word; likewise. */
    const DeviceMessage *last_words;
    /* A tunnel carries nothing any more. */
    void (*on_gone)(DeviceConn *s, void *userdata);
    /* The box has a new key for this role, or was blocked or removed; its tunnels are about to be closed. */
    void (*on_key_replaced)(const char *device, Role role, void *userdata);
    void (*on_blocked)(const char *device, void *userdata);
    /* Of a blocked box, whether it has to hear something first: then this tunnel, which nobody finds any more and whose messages
     * count no more but last_words, stays until device_conn_part(), or for some seconds. */
    bool (*keeps)(DeviceConn *s, void *userdata);
    void (*on_removed)(const char *device, void *userdata);
    /* Its labels may be others. */
    void (*on_relabelled)(const char *device, void *userdata);
    /* Whether the box is in the middle of something and must not be removed now. */
    bool (*is_busy)(const char *device, void *userdata);
    /* Adds what it knows about a device. */
    int (*describe)(const char *device, cJSON *object, void *userdata);
    /* How many people are in the box now. */
    size_t (*people)(const char *device, void *userdata);
} DeviceListener;

/* NULL when out of memory. What is given is borrowed. */
DeviceConns *device_conns_new(sd_event *event, Store *store, const DeviceTokens *tokens);
/* Closes all of them without a word. NULL-safe. */
DeviceConns *device_conns_free(DeviceConns *cs);

/* Listeners are called in the order in which they came. */
int device_conns_listen(DeviceConns *cs, const DeviceListener *listener, void *userdata) _must_check_;

/* The box's live tunnel for a role (after welcome), or NULL. */
DeviceConn *device_conn_find(const DeviceConns *cs, const char *device, Role role);

/* Sends one message. -ENOTCONN, -ENOBUFS, -ENOMEM. */
int device_conn_send(DeviceConn *s, const cJSON *message) _must_check_;
/* The same, of a message that is text already. */
int device_conn_send_text(DeviceConn *s, const char *text) _must_check_;

/* Whether the box takes streams in this tunnel. */
bool device_conn_takes_streams(const DeviceConn *s);
/* The streams in this tunnel, made at the first call; NULL when out of memory, or when the box takes none. Not to be kept:
 * they go when the tunnel's connection and the last stream are over. */
Mux *device_conn_mux(DeviceConn *s);

const char *device_conn_device(const DeviceConn *s);
Role device_conn_role(const DeviceConn *s);
/* Never the same twice while the program runs; above 0. */
uint64_t device_conn_number(const DeviceConn *s);
/* What only the box at this connection has been told, for what it signs: a new string, NULL when out of memory. */
char *device_conn_nonce(const DeviceConn *s);
/* The highest deployment version that the box has spoken of. */
uint64_t device_conn_version_floor(const DeviceConn *s);
/* Whether agent.status has come through it, and whether that said that the agent takes this order. */
bool device_conn_agent_spoke(const DeviceConn *s);
bool device_conn_takes(const DeviceConn *s, AgentOrder order);
/* The same, with the error of agent_orders_check(). */
int device_conn_check_takes(const DeviceConn *s, AgentOrder order, Error *err) _must_check_;
/* Which edition of updates.halted was sent last through it; 0: none. */
uint64_t device_conn_halted_told(const DeviceConn *s);
void device_conn_note_halted_told(DeviceConn *s, uint64_t edition);
/* Every tunnel that is up. */
void device_conns_each(const DeviceConns *cs, void (*visit)(DeviceConn *s, void *userdata), void *userdata);

/* "device.offline" with a sentence that fits; returns -ENOTCONN. */
int device_offline_error(const char *device, Error *err);

/* Adds "connected", "connectedSince", "peer", "roles" and what the listeners know about a device. */
int device_conns_describe(const DeviceConns *cs, const char *device, cJSON *object) _must_check_;
/* How many people are in a box now. */
size_t device_conns_people(const DeviceConns *cs, const char *device);

/* Closes the tunnel of one role: its key is no longer the key. */
void device_conns_replace_key(DeviceConns *cs, const char *device, Role role);
/* Closes the tunnel of one role, if there is one. */
void device_conns_close(DeviceConns *cs, const char *device, Role role, uint16_t code, const char *reason);
/* Closes all tunnels of a device, which is blocked; those that somebody keeps a little later. */
void device_conns_block(DeviceConns *cs, const char *device);
/* Whether it is such a one; has been told what it had to be; and each of them. */
bool device_conn_is_parting(const DeviceConn *s);
void device_conn_part(DeviceConn *s);
void device_conns_each_parting(const DeviceConns *cs, void (*visit)(DeviceConn *s, void *userdata), void *userdata);
/* Closes them, and has everybody forget the device, which was removed. */
void device_conns_remove(DeviceConns *cs, const char *device);
/* Tells everybody that its labels have changed. */
void device_conns_relabel(DeviceConns *cs, const char *device);
/* Whether somebody says that the device is in the middle of something. */
bool device_conns_is_busy(const DeviceConns *cs, const char *device);
/* Writes what waits to be written about boxes, when the store has room. */
void device_conns_sweep(DeviceConns *cs);

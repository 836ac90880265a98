/* SPDX-License-Identifier: MIT */
/* What the files of the boxes' tunnels share with each other and with nobody else. */
#pragma once

#include "gateway/devices/device-connection.h"
#include "gateway/devices/device-streams.h"
#include "lib/base/log.h"
#include "lib/base/map.h"
#include "lib/base/uuid.h"

#define CONNECTION_KEY_SIZE 24

struct DeviceConns {
    sd_event *event;
    Store *store;
    const DeviceTokens *tokens;
    Map *connections; /* all, by device_conn_key() → DeviceConn; owned */
    Map *tunnels;     /* DEVICE/ROLE → DeviceConn after its hello; borrowed */
    Map *streams;     /* DEVICE/ROLE → BoxStreams, owned */
    uint64_t next;
    size_t parting;           /* how many are */
    uint8_t nonce_secret[32]; /* of this run */
    uint64_t services_lost;   /* how many entries about services the database did not take */
    struct DeviceListening {
        const DeviceListener *table;
        void *userdata;
    } * listeners;
    size_t n_listeners;
};

struct DeviceConn {
    DeviceConns *conns;
    WsConn *ws;
    uint64_t number;
    char *device;
    char token_hash[JWT_HASH_SIZE]; /* of the present token; "": the key was proved on this connection */
    Role role;
    bool up;
    bool takes_streams; /* it said so; older boxes close for the first frame */
    bool ended;         /* closing: what still arrives counts no more */
    bool parting;       /* and it is kept for its last word */
    unsigned bad_messages;
    usec_t since;                                 /* wall clock of the welcome */
    char boot[UUID_SIZE], boot_before[UUID_SIZE]; /* of the machine, and of that which it was connected as before; "" */
    usec_t cloned_told;                           /* CLOCK_BOOTTIME, when that alarm was raised last; 0: never */
    AgentOrders orders;
    uint64_t halted_told;
    uint64_t version_floor;
    sd_event_source *deadline;
    struct DeviceAccept *accept; /* that it came by */
    BoxStreams *streams;         /* borrowed; NULL until somebody logs in */
    char *agent_version;
    char *services; /* the last that it has said of them, and that the audit log has, unless more are lost now: */
    uint64_t services_lost;
    char *unsaved_status; /* the newest agent.status that is not in the database yet */
};

/* device-connection.c */
DeviceConn *device_conn_new(DeviceConns *cs, Role role, const char *device);
DeviceConn *device_conn_free(DeviceConn *s);
/* Its name on the wire. */
void device_conn_key(char buf[static CONNECTION_KEY_SIZE], uint64_t number);
void device_conn_log(const DeviceConn *s, LogLevel level, const Error *err, int r, const char *what);
/* Makes this the tunnel of its device and role; an older one is closed. */
int device_conn_register(DeviceConn *s) _must_check_;
/* Out of the registry: nothing is sent through it any more. */
void device_conn_withdraw(DeviceConn *s);
void device_conn_close(DeviceConn *s, uint16_t code, const char *reason);
/* The tunnel's streams, those of the connection before or, with `make`, new ones. */
BoxStreams *device_conn_streams(DeviceConn *s, bool make);

/* SPDX-License-Identifier: MIT */
/* What the files of a box's session share with each other and with nobody else. */
#pragma once

#include "gateway/devices/device-streams.h"
#include "gateway/devices/device-connection.h"
#include "lib/base/log.h"
#include "lib/data/jwt.h"
#include "lib/websocket/connection.h"

struct DeviceConn {
    Gateway *gateway;
    WsConn *ws;
    uint64_t number;
    char *device;
    char token_hash[JWT_HASH_SIZE]; /* of the present token; "": the key was proved on this connection */
    Role role;
    bool up;
    bool takes_streams; /* it said so; older boxes close for the first frame */
    bool ended; /* closing: what still arrives counts no more */
    unsigned bad_messages;
    usec_t since; /* wall clock of the welcome */
    bool agent_spoke;   /* mgmt-agent is behind it, not only mgmt-link */
    bool takes_updates; /* and it knows image.update */
    uint64_t version_floor;
    sd_event_source *deadline;
    BoxStreams *streams; /* borrowed; NULL until somebody support_sessions */
    char *agent_version;
    char *services;       /* the last that it has said of them, and that the audit log has */
    char *unsaved_status; /* the newest agent.status that is not in the database yet */
};

/* device-connection.c */
void device_conn_log(const DeviceConn *s, LogLevel level, const Error *err, int r, const char *what);
void device_conn_close(DeviceConn *s, uint16_t code, const char *reason);

/* device-messages.c */
void device_conn_message(DeviceConn *s, const char *text, size_t len);
void device_conn_save_status(DeviceConn *s);
void device_conn_save_last_seen(DeviceConn *s);

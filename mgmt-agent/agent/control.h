/* SPDX-License-Identifier: MIT */
/* The agent's local socket: a stream of JSON lines; who speaks is known by the kernel's word, not by the peer's. */
#pragma once

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "lib/data/json.h"
#include "lib/tunnel/message.h"

typedef struct Control Control;
typedef struct ControlClient ControlClient;

typedef struct ControlEvents {
    /* One message that passed the table for this client. */
    void (*on_message)(ControlClient *c, const cJSON *message, const MessageType *type, void *userdata);
    /* A client went away; forget it. */
    void (*on_gone)(ControlClient *c, void *userdata);
    /* It has read all that was sent to it. */
    void (*on_drained)(ControlClient *c, void *userdata);
} ControlEvents;

typedef struct ControlUsers {
    uid_t link;     /* may only speak as mgmt-link */
    uid_t recovery; /* may only speak as recovery-agent */
    uid_t pairing;  /* may only speak as secbox-pairing */
} ControlUsers;

/* Listens at `path` (replacing a stale socket). Root and our own user may speak as secboxctl, and become a link by saying
 * link.hello; beside them come those of `users`. Others are refused at accept. Errors: control.listen. */
int control_new(sd_event *event, const char *path, const ControlUsers *users, const ControlEvents *events,
                void *userdata, Control **ret, Error *err) _must_check_;
Control *control_free(Control *c);
DEFINE_CLEANUP(Control, control_free)

bool control_client_is_link(const ControlClient *c);
/* Root or our own user, who has not said that it is a link. */
bool control_client_is_local(const ControlClient *c);
/* The link that said hello last, or NULL. */
ControlClient *control_link(Control *c);

/* Queues one line. A client that does not read (more than CONTROL_QUEUE_MAX waiting) is dropped. c may be NULL: nothing. */
void control_send(ControlClient *c, const cJSON *message);
/* Bytes that wait for it. */
size_t control_waiting(const ControlClient *c);
void control_send_error(ControlClient *c, const char *id, const Error *err, int r);

/* SPDX-License-Identifier: MIT */
/* The one vocabulary of tunnels, local socket and command lines: which types exist, who may send them, how long they
 * may be, which members they must have. docs/wire-format.md is checked against this table. */
#pragma once

#include <cjson/cJSON.h>
#include <stddef.h>

#include "lib/base/error.h"

typedef enum MessageSender {
    SENDER_CLOUD = 1 << 0,    /* gateway → box */
    SENDER_AGENT = 1 << 1,    /* mgmt-agent → link, cloud, command line */
    SENDER_LINK = 1 << 2,     /* mgmt-link itself → cloud or mgmt-agent */
    SENDER_LOCAL = 1 << 3,    /* secboxctl → mgmt-agent */
    SENDER_BOX = 1 << 4,      /* other box programs (secbox, recovery-agent) → cloud */
    SENDER_RECOVERY = 1 << 5, /* recovery-agent → mgmt-agent */
    SENDER_OPERATOR = 1 << 6, /* secbox-fleet → gateway */
    SENDER_PAIRING = 1 << 7,  /* secbox-pairing → mgmt-agent */
} MessageSender;

typedef struct MessageType {
    const char *name;
    unsigned senders;           /* MessageSender flags */
    size_t size_max;            /* bytes of the whole message */
    const char *const *strings; /* members that must be strings; ends with NULL; may be NULL */
    const char *const *objects; /* members that must be objects; the same for the next three */
    const char *const *numbers; /* what json_u64() reads: a decimal string or a small JSON integer */
    const char *const *booleans;
    const char *const *arrays;
    const char *help;
} MessageType;

extern const MessageType message_types[]; /* ends with {} */

/* NULL when unknown. */
const MessageType *message_type_find(const char *name);

/* Parses one message and checks it against the table. -ENOMSG (message.unknown-type) for a type that the table does not
 * have: on a tunnel the receiver silently ignores it. Other errors: json.*, message.no-type, message.too-large,
 * message.sender (this sender may not send it), message.member. `sender` may be several flags or-ed together where a
 * connection carries the messages of several programs. ret_type may be NULL. */
int message_parse(const char *text, size_t len, MessageSender sender, cJSON **ret, const MessageType **ret_type,
                  Error *err) _must_check_;

/* {"type": type}, NULL when out of memory. */
cJSON *message_new(const char *type);

/* SPDX-License-Identifier: MIT */
/* What passes between the gateway and its signer: JSON objects, one a packet of a local socket (unix(7), SOCK_SEQPACKET).
 * The signer begins, once it can ask the database: {"publicKey"}. A question is {"id", "grant", "token", "publicKey", "way",
 * "clock"}; its answer has the same id and either the certificate, or {"errno", "error"}. */
#pragma once

#include <cjson/cJSON.h>

#include "lib/base/error.h"

#define SIGNER_PACKET_MAX (32 * 1024)
#define SIGNER_CHILD_FD 3
#define SIGNER_CHILD_OPTION "--sign" /* and the key's file: what a child is started with */
#define SUPPORT_CA_NAME "support-ca.pem"
#define SIGNER_SOCKET "/run/secbox-gateway-signer.socket"

/* A new non-blocking connection to a signer. "signer.unavailable". */
int packet_connect(const char *path, int *ret, Error *err) _must_check_;
/* Whole, or not at all. -EAGAIN when the other side does not read, -EMSGSIZE, and what send(2) says. */
int packet_send(int fd, const cJSON *object) _must_check_;
/* NULL and 0 when there is none now; -ECONNRESET when the other side has gone, -EBADMSG for what is no such packet. */
int packet_receive(int fd, cJSON **ret) _must_check_;

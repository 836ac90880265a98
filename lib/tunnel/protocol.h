/* SPDX-License-Identifier: MIT */
/* What both ends of a tunnel agree on before the first message. */
#pragma once

#define TUNNEL_SUBPROTOCOL "secbox.v1"
/* in hello; a later one must understand this one */
#define TUNNEL_PROTOCOL 1
